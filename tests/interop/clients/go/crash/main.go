// The franz-go client of the crash loop: `crash ROLE BOOTSTRAP NAME HISTORY SEED LIFE RATE`, with
// the roles produce, copy and read of tests/crash/client.py, and its rules. Copiers whose names
// differ in their last digits alone share a group.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	inTopic        = "in"
	partitionCount = 3
	abortShare     = 0.15
	slowShare      = 0.1
	slowTime       = 100 * time.Millisecond
	batchMax       = 60
	batchRateMax   = 10
	handful        = 8
	pace           = 40 * time.Millisecond
	pollTime       = 100 * time.Millisecond
	callTime       = 10 * time.Second
	flushTime      = 60 * time.Second
)

// client is what the roles share: names, the history, the end.
type client struct {
	bootstrap, name, life string
	rate                  int
	random                *rand.Rand
	lock                  sync.Mutex
	history               *os.File
	running               context.Context // until standard input ends
}

func main() {
	role, c := os.Args[1], newClient(os.Args[2:])
	roles := map[string]func(*client) error{"produce": produce, "copy": copyAll, "read": read}
	if err := roles[role](c); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", c.name, err)
		os.Exit(1)
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func newClient(args []string) *client {
	history, err := os.OpenFile(args[2], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	must(err)
	rate, err := strconv.Atoi(args[5])
	must(err)
	seed := fnv.New64()
	fmt.Fprintf(seed, "%s-%s-%s", args[3], args[1], args[4])
	running, end := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		end()
	}()
	return &client{bootstrap: args[0], name: args[1], life: args[4], rate: rate, history: history,
		random: rand.New(rand.NewSource(int64(seed.Sum64()))), running: running}
}

type event map[string]any

// note writes one line of history.
func (c *client) note(op string, e event) {
	e["op"] = op
	line, err := json.Marshal(e)
	must(err)
	c.lock.Lock()
	defer c.lock.Unlock()
	_, err = c.history.Write(append(line, '\n'))
	must(err)
}

func (c *client) onDelivery(r *kgo.Record, err error) {
	if err == nil {
		c.note("ack", event{"topic": r.Topic, "partition": r.Partition, "offset": r.Offset,
			"value": string(r.Value)})
	}
}

// kind is the name without its number: that of the group and of the topic that it copies to.
func (c *client) kind() string {
	return strings.TrimRight(c.name, "0123456789")
}

func (c *client) options(more ...kgo.Opt) []kgo.Opt {
	if os.Getenv("CRASH_DEBUG") != "" {
		more = append(more, kgo.WithLogger(kgo.BasicLogger(os.Stderr, kgo.LogLevelDebug, nil)))
	}
	return append(more, kgo.SeedBrokers(c.bootstrap), kgo.ClientID(c.name),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(50*time.Millisecond),
		kgo.ProducerBatchCompression(kgo.NoCompression()), // stored.py reads without any codec
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }))
}

func consumerOptions(group string, topics ...string) []kgo.Opt {
	return []kgo.Opt{kgo.ConsumerGroup(group), kgo.ConsumeTopics(topics...),
		kgo.Balancers(kgo.RangeBalancer()), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(pollTime),
		kgo.SessionTimeout(3 * time.Second), kgo.HeartbeatInterval(500 * time.Millisecond)}
}

func produce(c *client) error {
	producer, err := kgo.NewClient(c.options(kgo.ProducerLinger(2 * time.Millisecond))...)
	must(err)
	defer producer.Close()
	number := 0
	for ticker := time.NewTicker(pace); c.running.Err() == nil; <-ticker.C {
		for left := c.rate * (1 + c.random.Intn(handful)); left > 0; left-- {
			value := fmt.Sprintf("%s.%s-%d", c.name, c.life, number)
			number++
			c.note("send", event{"topic": inTopic, "value": value})
			producer.Produce(context.Background(), &kgo.Record{Topic: inTopic,
				Partition: c.random.Int31n(partitionCount), Value: []byte(value)}, c.onDelivery)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	return producer.Flush(ctx)
}

func copyAll(c *client) error {
	for number := 0; c.running.Err() == nil; {
		options := append(consumerOptions("copy-"+c.kind(), inTopic),
			kgo.TransactionalID("txn-"+c.name), kgo.TransactionTimeout(20*time.Second),
			kgo.RequireStableFetchOffsets(), kgo.ProducerLinger(2*time.Millisecond))
		session, err := kgo.NewGroupTransactSession(c.options(options...)...)
		must(err)
		number = c.copyUntilUnknown(session, number)
		session.Close()
	}
	return nil
}

// copyUntilUnknown copies until the end, or until only a new producer can say what became of a
// transaction; the session itself goes back to where an aborted one began.
func (c *client) copyUntilUnknown(session *kgo.GroupTransactSession, number int) int {
	for c.running.Err() == nil {
		ctx, cancel := context.WithTimeout(c.running, pollTime)
		most := 1 + c.random.Intn(batchMax*min(c.rate, batchRateMax))
		batch := session.PollRecords(ctx, most).Records()
		cancel()
		if len(batch) == 0 {
			continue
		}
		number++
		txn := fmt.Sprintf("%s.%s.%d", c.name, c.life, number)
		how := c.copyBatch(session, txn, batch)
		c.note("end", event{"txn": txn, "how": how})
		if how == "unknown" {
			break
		}
	}
	return number
}

func (c *client) copyBatch(session *kgo.GroupTransactSession, txn string,
	batch []*kgo.Record) string {
	ctx, cancel := context.WithTimeout(context.Background(), callTime)
	defer cancel()
	if _, generation := session.Client().GroupMetadata(); generation >= 0 {
		c.note("generation", event{"group": "copy-" + c.kind(), "generation": generation})
	}
	if err := session.Begin(); err != nil {
		return "unknown"
	}
	for i, r := range batch {
		value := fmt.Sprintf("%s/%d", txn, i)
		topic := "out-" + c.kind()
		c.note("send", event{"topic": topic, "value": value, "txn": txn,
			"source": []any{r.Topic, r.Partition, r.Offset}})
		session.Produce(ctx, &kgo.Record{Topic: topic, Partition: int32(r.Offset % 2),
			Value: []byte(value)}, c.onDelivery)
	}
	if c.random.Float64() < slowShare {
		c.note("slow", event{"txn": txn})
		select {
		case <-c.running.Done():
		case <-time.After(slowTime):
		}
	}
	isMeant := c.random.Float64() >= abortShare
	isCommitted, err := session.End(ctx, kgo.TransactionEndTry(isMeant))
	switch {
	case err != nil:
		fmt.Fprintf(os.Stderr, "%s: %v\n", txn, err)
		return "unknown"
	case isCommitted:
		return "committed"
	}
	return "aborted"
}

// read is a member of a group that notes what it is shown, and when it is assigned partitions.
func read(c *client) error {
	onAssigned := func(_ context.Context, _ *kgo.Client, added map[string][]int32) {
		for topic, partitions := range added {
			for _, partition := range partitions {
				c.note("assign", event{"topic": topic, "partition": partition})
			}
		}
	}
	options := append(consumerOptions("readers", inTopic, "out-python", "out-java", "out-go"),
		kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(), kgo.OnPartitionsAssigned(onAssigned))
	consumer, err := kgo.NewClient(c.options(options...)...)
	must(err)
	defer consumer.CloseAllowingRebalance()
	for isBehind := false; c.running.Err() == nil; consumer.AllowRebalance() {
		ctx, cancel := context.WithTimeout(c.running, pollTime)
		fetches := consumer.PollRecords(ctx, batchMax*c.rate)
		cancel()
		fetches.EachRecord(func(r *kgo.Record) {
			isBehind = true
			c.note("read", event{"reader": "readers", "topic": r.Topic, "partition": r.Partition,
				"offset": r.Offset, "value": string(r.Value)})
		})
		if isBehind {
			ctx, cancel := context.WithTimeout(context.Background(), callTime)
			isBehind = consumer.CommitUncommittedOffsets(ctx) != nil
			cancel()
		}
	}
	return nil
}
