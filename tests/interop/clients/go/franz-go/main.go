// franz-go behind the command contract.
package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"headrace/interop/contract"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const requestTime = 20 * time.Second

type driver struct {
	bootstrap string
	admin     *kadm.Client
	producers map[string]*kgo.Client // the transactional ones, by the contract's name
}

func main() {
	client, err := kgo.NewClient(kgo.SeedBrokers(os.Args[1]))
	if err != nil {
		panic(err)
	}
	d := &driver{bootstrap: os.Args[1], admin: kadm.NewClient(client),
		producers: map[string]*kgo.Client{}}
	contract.Serve(d.handle)
	client.Close()
}

func (d *driver) handle(c contract.Command, stop <-chan struct{}) (contract.Reply, error) {
	if c.Cmd == "group-consume" {
		return nil, d.groupConsume(c, stop)
	}
	ctx, cancel := context.WithTimeout(context.Background(), requestTime)
	defer cancel()
	switch c.Cmd {
	case "describe":
		return contract.Reply{"client": "franz-go", "version": version()}, nil
	case "produce":
		return nil, d.produce(ctx, c)
	case "consume":
		return d.consume(c)
	case "transact":
		return nil, d.transact(ctx, c)
	case "process":
		return nil, d.process(ctx, c)
	}
	return d.administer(ctx, c)
}

func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "github.com/twmb/franz-go" {
			return module.Version
		}
	}
	return "unknown"
}

var codecs = map[string]kgo.CompressionCodec{
	"":       kgo.NoCompression(),
	"none":   kgo.NoCompression(),
	"gzip":   kgo.GzipCompression(),
	"snappy": kgo.SnappyCompression(),
	"lz4":    kgo.Lz4Compression(),
	"zstd":   kgo.ZstdCompression(),
}

func (d *driver) client(more ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append(more, kgo.SeedBrokers(d.bootstrap))...)
}

func (d *driver) produce(ctx context.Context, c contract.Command) error {
	options := []kgo.Opt{
		kgo.ProducerBatchCompression(codecs[c.Codec]),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(20 * time.Millisecond),
	}
	if !c.Idempotent {
		options = append(options, kgo.DisableIdempotentWrite())
	}
	if c.MaxBytes > 0 {
		options = append(options, kgo.ProducerBatchMaxBytes(c.MaxBytes+1000))
	}
	client, err := d.client(options...)
	if err != nil {
		return err
	}
	defer client.Close()
	return client.ProduceSync(ctx, fromWire(c.Topic, c.Records)...).FirstErr()
}

func fromWire(topic string, wire []contract.Record) []*kgo.Record {
	var records []*kgo.Record
	for _, r := range wire {
		record := &kgo.Record{Topic: topic, Partition: r.Partition, Key: r.Key, Value: r.Value}
		if r.Timestamp != nil {
			record.Timestamp = time.UnixMilli(*r.Timestamp)
		}
		for _, h := range r.Headers {
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: h.Name, Value: h.Value})
		}
		records = append(records, record)
	}
	return records
}

func (d *driver) consume(c contract.Command) (contract.Reply, error) {
	ctx, cancel := context.WithTimeout(context.Background(), c.Timeout())
	defer cancel()
	isolation := kgo.ReadUncommitted()
	if c.Isolation == "read_committed" {
		isolation = kgo.ReadCommitted()
	}
	client, err := d.client(kgo.ConsumeTopics(c.Topic), kgo.FetchIsolationLevel(isolation),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	records := []contract.Record{}
	for len(records) < c.Count {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil, contract.TooLate(len(records), c.Count)
		}
		if err := fetches.Err(); err != nil {
			return nil, err
		}
		fetches.EachRecord(func(r *kgo.Record) { records = append(records, toWire(r)) })
	}
	return contract.Reply{"records": records}, nil
}

func toWire(r *kgo.Record) contract.Record {
	timestamp := r.Timestamp.UnixMilli()
	wire := contract.Record{Partition: r.Partition, Offset: r.Offset, Timestamp: &timestamp,
		Key: r.Key, Value: r.Value, Headers: []contract.Header{}}
	for _, h := range r.Headers {
		wire.Headers = append(wire.Headers, contract.Header{Name: h.Key, Value: h.Value})
	}
	return wire
}

func (d *driver) groupConsume(c contract.Command, stop <-chan struct{}) error {
	owned := map[int32]bool{}
	report := func(_ context.Context, _ *kgo.Client, changed map[string][]int32, own bool) {
		for _, p := range changed[c.Topic] {
			if own {
				owned[p] = true
			} else {
				delete(owned, p)
			}
		}
		contract.Assigned(slices.Collect(maps.Keys(owned)))
	}
	balancer := kgo.RangeBalancer()
	if c.Strategy == "cooperative" {
		balancer = kgo.CooperativeStickyBalancer()
	}
	options := []kgo.Opt{
		kgo.ConsumerGroup(c.Group), kgo.ConsumeTopics(c.Topic), kgo.Balancers(balancer),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(),
		kgo.SessionTimeout(c.SessionTimeout()), kgo.HeartbeatInterval(500 * time.Millisecond),
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(func(ctx context.Context, cl *kgo.Client, m map[string][]int32) {
			report(ctx, cl, m, true)
		}),
		kgo.OnPartitionsRevoked(func(ctx context.Context, cl *kgo.Client, m map[string][]int32) {
			report(ctx, cl, m, false)
		}),
	}
	if c.Instance != "" {
		options = append(options, kgo.InstanceID(c.Instance))
	}
	client, err := d.client(options...)
	if err != nil {
		return err
	}
	defer client.CloseAllowingRebalance()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-stop
		cancel()
	}()
	for ctx.Err() == nil {
		fetches := client.PollFetches(ctx)
		fetches.EachRecord(func(r *kgo.Record) {
			contract.Handled(r.Partition, r.Offset, r.Value)
		})
		if err := client.CommitRecords(context.Background(), fetches.Records()...); err != nil {
			return err
		}
		client.AllowRebalance()
	}
	return nil
}

func (d *driver) administer(ctx context.Context, c contract.Command) (contract.Reply, error) {
	switch c.Cmd {
	case "create-topic":
		configs := map[string]*string{}
		for name, value := range c.Config {
			configs[name] = &value
		}
		_, err := d.admin.CreateTopic(ctx, c.PartitionCount(), -1, configs, c.Topic)
		return nil, err
	case "delete-topic":
		_, err := d.admin.DeleteTopic(ctx, c.Topic)
		return nil, err
	case "list-topics":
		topics, err := d.admin.ListTopics(ctx)
		return contract.Reply{"topics": topics.Names()}, err
	case "describe-topic":
		topics, err := d.admin.ListTopics(ctx, c.Topic)
		return contract.Reply{"partitions": len(topics[c.Topic].Partitions)}, err
	case "describe-config":
		return d.describeConfig(ctx, c)
	case "alter-config":
		return nil, d.alterConfig(ctx, c)
	case "add-partitions":
		done, err := d.admin.UpdatePartitions(ctx, c.Count, c.Topic)
		if err != nil {
			return nil, err
		}
		return nil, done.Error()
	}
	return d.administerGroup(ctx, c)
}

func (d *driver) describeConfig(ctx context.Context, c contract.Command) (contract.Reply, error) {
	resources, err := d.admin.DescribeTopicConfigs(ctx, c.Topic)
	if err != nil {
		return nil, err
	}
	resource, err := resources.On(c.Topic, nil)
	if err != nil {
		return nil, err
	}
	config := map[string]string{}
	for _, entry := range resource.Configs {
		config[entry.Key] = entry.MaybeValue()
	}
	return contract.Reply{"config": config}, resource.Err
}

func (d *driver) alterConfig(ctx context.Context, c contract.Command) error {
	var changes []kadm.AlterConfig
	for name, value := range c.Config {
		changes = append(changes, kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: &value})
	}
	done, err := d.admin.AlterTopicConfigs(ctx, changes, c.Topic)
	if err != nil {
		return err
	}
	return done[0].Err
}

func (d *driver) administerGroup(ctx context.Context, c contract.Command) (contract.Reply, error) {
	switch c.Cmd {
	case "commit":
		offsets := kadm.Offsets{}
		for partition, offset := range c.OffsetsByNumber() {
			offsets.Add(kadm.Offset{Topic: c.Topic, Partition: partition, At: offset, LeaderEpoch: -1})
		}
		return nil, d.admin.CommitAllOffsets(ctx, c.Group, offsets)
	case "committed":
		found, err := d.admin.FetchOffsets(ctx, c.Group)
		offsets := map[string]int64{}
		for _, p := range c.PartitionList() {
			offsets[strconv.Itoa(int(p))] = -1
			if one, ok := found.Lookup(c.Topic, p); ok {
				offsets[strconv.Itoa(int(p))] = one.At
			}
		}
		return contract.Reply{"offsets": offsets}, err
	case "list-offsets":
		return d.listOffsets(ctx, c)
	case "list-groups":
		groups, err := d.admin.ListGroups(ctx)
		return contract.Reply{"groups": groups.Groups()}, err
	case "describe-group":
		groups, err := d.admin.DescribeGroups(ctx, c.Group)
		group := groups[c.Group]
		return contract.Reply{"state": group.State, "members": len(group.Members)}, err
	case "delete-group":
		_, err := d.admin.DeleteGroup(ctx, c.Group)
		return nil, err
	}
	return nil, fmt.Errorf("unknown command %s", c.Cmd)
}

func (d *driver) listOffsets(ctx context.Context, c contract.Command) (contract.Reply, error) {
	var listed kadm.ListedOffsets
	var err error
	switch at := c.At.(type) {
	case float64:
		listed, err = d.admin.ListOffsetsAfterMilli(ctx, int64(at), c.Topic)
	case string:
		if at == "earliest" {
			listed, err = d.admin.ListStartOffsets(ctx, c.Topic)
		} else {
			listed, err = d.admin.ListEndOffsets(ctx, c.Topic)
		}
	}
	if err != nil {
		return nil, err
	}
	offset, found := listed.Lookup(c.Topic, c.Partition)
	if !found {
		return nil, fmt.Errorf("no offset for partition %d", c.Partition)
	}
	return contract.Reply{"offset": offset.Offset}, offset.Err
}
