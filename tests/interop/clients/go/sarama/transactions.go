package main

import (
	"context"
	"time"

	"headrace/interop/contract"

	"github.com/IBM/sarama"
)

const processTimeout = 60 * time.Second

func (d *driver) transactional(id string, timeout time.Duration) (sarama.SyncProducer, error) {
	cfg := config()
	cfg.Producer.Return.Successes = true
	cfg.Producer.RequiredAcks = sarama.WaitForAll
	cfg.Producer.Partitioner = sarama.NewManualPartitioner
	cfg.Producer.Idempotent = true
	cfg.Producer.Transaction.ID = id
	cfg.Producer.Transaction.Timeout = timeout
	cfg.Net.MaxOpenRequests = 1
	return sarama.NewSyncProducer(d.bootstrap, cfg)
}

// transact takes a producer through its steps; the first error ends them.
func (d *driver) transact(c contract.Command) error {
	if d.producers[c.Producer] == nil {
		producer, err := d.transactional(c.ID, c.Timeout())
		if err != nil {
			return err
		}
		d.producers[c.Producer] = producer
	}
	for _, step := range c.Steps {
		if err := d.take(c.Producer, step); err != nil {
			return err
		}
	}
	return nil
}

func (d *driver) take(name string, step contract.Step) error {
	producer := d.producers[name]
	switch step.Do {
	case "begin":
		return producer.BeginTxn()
	case "produce":
		return send(producer, step.Topic, step.Records)
	case "commit":
		return producer.CommitTxn()
	case "abort":
		return producer.AbortTxn()
	}
	delete(d.producers, name)
	return producer.Close()
}

// processor writes what its claim is given within one transaction, and ends the session with it.
type processor struct {
	command  contract.Command
	producer sarama.SyncProducer
	done     context.CancelFunc
}

func (p *processor) Setup(sarama.ConsumerGroupSession) error {
	return nil
}

func (p *processor) Cleanup(sarama.ConsumerGroupSession) error {
	return nil
}

func (p *processor) ConsumeClaim(session sarama.ConsumerGroupSession,
	claim sarama.ConsumerGroupClaim) error {
	defer p.done()
	if err := p.producer.BeginTxn(); err != nil {
		return err
	}
	for range p.command.Count {
		message, open := <-claim.Messages()
		if !open {
			return p.producer.AbortTxn()
		}
		sent := &sarama.ProducerMessage{Topic: p.command.To, Key: sarama.ByteEncoder(message.Key),
			Value: sarama.ByteEncoder(message.Value)}
		if _, _, err := p.producer.SendMessage(sent); err != nil {
			return err
		}
		if err := p.producer.AddMessageToTxn(message, p.command.Group, nil); err != nil {
			return err
		}
	}
	if p.command.End == "commit" {
		return p.producer.CommitTxn()
	}
	return p.producer.AbortTxn()
}

func (d *driver) process(c contract.Command) error {
	producer, err := d.transactional(c.ID, processTimeout)
	if err != nil {
		return err
	}
	defer producer.Close()
	cfg := config()
	cfg.Consumer.Offsets.Initial = sarama.OffsetOldest
	cfg.Consumer.Offsets.AutoCommit.Enable = false
	cfg.Consumer.Return.Errors = true
	cfg.Consumer.IsolationLevel = sarama.ReadCommitted
	group, err := sarama.NewConsumerGroup(d.bootstrap, c.Group, cfg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := group.Consume(ctx, []string{c.From}, &processor{c, producer, cancel}); err != nil {
		return err
	}
	go group.Close()
	return <-group.Errors()
}
