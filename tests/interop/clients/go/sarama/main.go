// sarama behind the command contract.
package main

import (
	"context"
	"errors"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"headrace/interop/contract"

	"github.com/IBM/sarama"
)

type driver struct {
	bootstrap []string
	client    sarama.Client
	admin     sarama.ClusterAdmin
	producers map[string]sarama.SyncProducer // the transactional ones, by the contract's name
}

func main() {
	d := &driver{bootstrap: os.Args[1:2], producers: map[string]sarama.SyncProducer{}}
	var err error
	if d.client, err = sarama.NewClient(d.bootstrap, config()); err != nil {
		panic(err)
	}
	if d.admin, err = sarama.NewClusterAdminFromClient(d.client); err != nil {
		panic(err)
	}
	contract.Serve(d.handle)
	d.admin.Close()
}

func config() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.MaxVersion
	return c
}

func (d *driver) handle(c contract.Command, stop <-chan struct{}) (contract.Reply, error) {
	switch c.Cmd {
	case "describe":
		return contract.Reply{"client": "sarama", "version": version()}, nil
	case "produce":
		return nil, d.produce(c)
	case "consume":
		return d.consume(c)
	case "group-consume":
		return nil, d.groupConsume(c, stop)
	case "transact":
		return nil, d.transact(c)
	case "process":
		return nil, d.process(c)
	}
	return d.administer(c)
}

func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "github.com/IBM/sarama" {
			return module.Version
		}
	}
	return "unknown"
}

var codecs = map[string]sarama.CompressionCodec{
	"":       sarama.CompressionNone,
	"none":   sarama.CompressionNone,
	"gzip":   sarama.CompressionGZIP,
	"snappy": sarama.CompressionSnappy,
	"lz4":    sarama.CompressionLZ4,
	"zstd":   sarama.CompressionZSTD,
}

func (d *driver) produce(c contract.Command) error {
	cfg := config()
	cfg.Producer.Return.Successes = true
	cfg.Producer.RequiredAcks = sarama.WaitForAll
	cfg.Producer.Partitioner = sarama.NewManualPartitioner
	cfg.Producer.Compression = codecs[c.Codec]
	cfg.Producer.Idempotent = c.Idempotent
	if c.Idempotent {
		cfg.Net.MaxOpenRequests = 1
	}
	if c.MaxBytes > 0 {
		cfg.Producer.MaxMessageBytes = int(c.MaxBytes) + 1000
	}
	producer, err := sarama.NewSyncProducer(d.bootstrap, cfg)
	if err != nil {
		return err
	}
	defer producer.Close()
	return send(producer, c.Topic, c.Records)
}

func send(producer sarama.SyncProducer, topic string, records []contract.Record) error {
	var messages []*sarama.ProducerMessage
	for _, r := range records {
		messages = append(messages, toMessage(topic, r))
	}
	err := producer.SendMessages(messages)
	var failed sarama.ProducerErrors
	if errors.As(err, &failed) {
		return failed[0].Err
	}
	return err
}

func toMessage(topic string, r contract.Record) *sarama.ProducerMessage {
	message := &sarama.ProducerMessage{Topic: topic, Partition: r.Partition}
	if r.Key != nil {
		message.Key = sarama.ByteEncoder(r.Key)
	}
	if r.Value != nil {
		message.Value = sarama.ByteEncoder(r.Value)
	}
	if r.Timestamp != nil {
		message.Timestamp = time.UnixMilli(*r.Timestamp)
	}
	for _, h := range r.Headers {
		message.Headers = append(message.Headers,
			sarama.RecordHeader{Key: []byte(h.Name), Value: h.Value})
	}
	return message
}

func (d *driver) consume(c contract.Command) (contract.Reply, error) {
	cfg := config()
	if c.Isolation == "read_committed" {
		cfg.Consumer.IsolationLevel = sarama.ReadCommitted
	}
	consumer, err := sarama.NewConsumer(d.bootstrap, cfg)
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	partitions, err := consumer.Partitions(c.Topic)
	if err != nil {
		return nil, err
	}
	messages := make(chan *sarama.ConsumerMessage)
	done := make(chan struct{})
	defer close(done)
	for _, p := range partitions {
		part, err := consumer.ConsumePartition(c.Topic, p, sarama.OffsetOldest)
		if err != nil {
			return nil, err
		}
		defer part.AsyncClose()
		go func() {
			for message := range part.Messages() {
				select {
				case messages <- message:
				case <-done:
					return
				}
			}
		}()
	}
	records := []contract.Record{}
	late := time.After(c.Timeout())
	for len(records) < c.Count {
		select {
		case message := <-messages:
			records = append(records, toWire(message))
		case <-late:
			return nil, contract.TooLate(len(records), c.Count)
		}
	}
	return contract.Reply{"records": records}, nil
}

func toWire(m *sarama.ConsumerMessage) contract.Record {
	timestamp := m.Timestamp.UnixMilli()
	wire := contract.Record{Partition: m.Partition, Offset: m.Offset, Timestamp: &timestamp,
		Key: m.Key, Value: m.Value, Headers: []contract.Header{}}
	for _, h := range m.Headers {
		wire.Headers = append(wire.Headers,
			contract.Header{Name: string(h.Key), Value: h.Value})
	}
	return wire
}

// member handles what its sessions are given and commits when it has handled all that is there. A
// claim runs for as long as its partition is the member's, over rebalances too if they are
// cooperative.
type member struct {
	lock  sync.Mutex
	owned map[int32]bool
}

func (m *member) Setup(sarama.ConsumerGroupSession) error {
	return nil
}

func (m *member) Cleanup(sarama.ConsumerGroupSession) error {
	return nil
}

func (m *member) report(partition int32, owned bool) {
	m.lock.Lock()
	defer m.lock.Unlock()
	if owned {
		m.owned[partition] = true
	} else {
		delete(m.owned, partition)
	}
	contract.Assigned(slices.Collect(maps.Keys(m.owned)))
}

func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession,
	claim sarama.ConsumerGroupClaim) error {
	m.report(claim.Partition(), true)
	defer m.report(claim.Partition(), false)
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			contract.Handled(message.Partition, message.Offset, message.Value)
			session.MarkMessage(message, "")
			if len(claim.Messages()) == 0 {
				session.Commit()
			}
		case <-session.Context().Done():
			return nil
		}
	}
}

func (d *driver) groupConsume(c contract.Command, stop <-chan struct{}) error {
	cfg := config()
	cfg.Consumer.Offsets.Initial = sarama.OffsetOldest
	cfg.Consumer.Offsets.AutoCommit.Enable = false
	cfg.Consumer.Group.Session.Timeout = c.SessionTimeout()
	cfg.Consumer.Group.Heartbeat.Interval = 500 * time.Millisecond
	cfg.Consumer.Group.InstanceId = c.Instance
	strategy := sarama.NewBalanceStrategyRange()
	if c.Strategy == "cooperative" {
		strategy = sarama.NewBalanceStrategyCooperativeSticky()
	}
	cfg.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy}
	group, err := sarama.NewConsumerGroup(d.bootstrap, c.Group, cfg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-stop
		cancel()
	}()
	handler := &member{owned: map[int32]bool{}}
	for ctx.Err() == nil {
		if err := group.Consume(ctx, []string{c.Topic}, handler); err != nil {
			return err
		}
	}
	return group.Close()
}
