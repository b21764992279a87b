package main

import (
	"context"
	"errors"
	"time"

	"headrace/interop/contract"

	"github.com/twmb/franz-go/pkg/kgo"
)

// transact takes a producer through its steps; the first error ends them.
func (d *driver) transact(ctx context.Context, c contract.Command) error {
	if d.producers[c.Producer] == nil {
		timeout := time.Duration(c.TimeoutMs) * time.Millisecond
		client, err := d.client(kgo.TransactionalID(c.ID), kgo.TransactionTimeout(timeout),
			kgo.RecordPartitioner(kgo.ManualPartitioner()))
		if err != nil {
			return err
		}
		d.producers[c.Producer] = client
	}
	for _, step := range c.Steps {
		if err := d.take(ctx, c.Producer, step); err != nil {
			return err
		}
	}
	return nil
}

func (d *driver) take(ctx context.Context, name string, step contract.Step) error {
	client := d.producers[name]
	switch step.Do {
	case "begin":
		return client.BeginTransaction()
	case "produce":
		return client.ProduceSync(ctx, fromWire(step.Topic, step.Records)...).FirstErr()
	case "commit":
		return client.EndTransaction(ctx, kgo.TryCommit)
	case "abort":
		return client.EndTransaction(ctx, kgo.TryAbort)
	}
	delete(d.producers, name)
	client.Close()
	return nil
}

// process is franz-go's own session of consume, process, produce.
func (d *driver) process(ctx context.Context, c contract.Command) error {
	session, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(d.bootstrap),
		kgo.TransactionalID(c.ID), kgo.ConsumerGroup(c.Group), kgo.ConsumeTopics(c.From),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.RequireStableFetchOffsets(),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	defer session.Close()
	if err := session.Begin(); err != nil {
		return err
	}
	for left := c.Count; left > 0; {
		fetches := session.PollRecords(ctx, left)
		if err := fetches.Err(); err != nil {
			return err
		}
		for _, r := range fetches.Records() {
			record := &kgo.Record{Topic: c.To, Key: r.Key, Value: r.Value}
			if err := session.ProduceSync(ctx, record).FirstErr(); err != nil {
				return err
			}
			left--
		}
	}
	committed, err := session.End(ctx, kgo.TransactionEndTry(c.End == "commit"))
	if err == nil && committed != (c.End == "commit") {
		return errors.New("the session aborted what it was to commit")
	}
	return err
}
