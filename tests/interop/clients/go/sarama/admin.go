package main

import (
	"fmt"
	"strconv"

	"headrace/interop/contract"

	"github.com/IBM/sarama"
)

func (d *driver) administer(c contract.Command) (contract.Reply, error) {
	switch c.Cmd {
	case "create-topic":
		return nil, d.admin.CreateTopic(c.Topic, &sarama.TopicDetail{
			NumPartitions: c.PartitionCount(), ReplicationFactor: -1,
			ConfigEntries: pointers(c.Config)}, false)
	case "delete-topic":
		return nil, d.admin.DeleteTopic(c.Topic)
	case "list-topics":
		topics, err := d.admin.ListTopics()
		names := []string{}
		for name := range topics {
			names = append(names, name)
		}
		return contract.Reply{"topics": names}, err
	case "describe-topic":
		topics, err := d.admin.DescribeTopics([]string{c.Topic})
		if err != nil {
			return nil, err
		}
		return contract.Reply{"partitions": len(topics[0].Partitions)}, nil
	case "describe-config":
		return d.describeConfig(c.Topic)
	case "alter-config":
		changes := map[string]sarama.IncrementalAlterConfigsEntry{}
		for name, value := range pointers(c.Config) {
			changes[name] = sarama.IncrementalAlterConfigsEntry{
				Operation: sarama.IncrementalAlterConfigsOperationSet, Value: value}
		}
		return nil, d.admin.IncrementalAlterConfig(sarama.TopicResource, c.Topic, changes, false)
	case "add-partitions":
		return nil, d.admin.CreatePartitions(c.Topic, int32(c.Count), nil, false)
	}
	return d.administerGroup(c)
}

func pointers(config map[string]string) map[string]*string {
	result := map[string]*string{}
	for name, value := range config {
		result[name] = &value
	}
	return result
}

func (d *driver) describeConfig(topic string) (contract.Reply, error) {
	entries, err := d.admin.DescribeConfig(
		sarama.ConfigResource{Type: sarama.TopicResource, Name: topic})
	config := map[string]string{}
	for _, entry := range entries {
		config[entry.Name] = entry.Value
	}
	return contract.Reply{"config": config}, err
}

func (d *driver) administerGroup(c contract.Command) (contract.Reply, error) {
	switch c.Cmd {
	case "commit":
		return nil, d.commit(c)
	case "committed":
		found, err := d.admin.ListConsumerGroupOffsets(c.Group,
			map[string][]int32{c.Topic: c.PartitionList()})
		if err != nil {
			return nil, err
		}
		offsets := map[string]int64{}
		for _, p := range c.PartitionList() {
			offsets[strconv.Itoa(int(p))] = found.GetBlock(c.Topic, p).Offset
		}
		return contract.Reply{"offsets": offsets}, nil
	case "list-offsets":
		return d.listOffsets(c)
	case "list-groups":
		listed, err := d.admin.ListConsumerGroups()
		groups := []string{}
		for group := range listed {
			groups = append(groups, group)
		}
		return contract.Reply{"groups": groups}, err
	case "describe-group":
		groups, err := d.admin.DescribeConsumerGroups([]string{c.Group})
		if err != nil {
			return nil, err
		}
		return contract.Reply{"state": groups[0].State, "members": len(groups[0].Members)}, nil
	case "delete-group":
		return nil, d.admin.DeleteConsumerGroup(c.Group)
	}
	return nil, fmt.Errorf("unknown command %s", c.Cmd)
}

func (d *driver) commit(c contract.Command) error {
	offsets := map[int32]sarama.OffsetAndMetadata{}
	for partition, offset := range c.OffsetsByNumber() {
		offsets[partition] = sarama.OffsetAndMetadata{Offset: offset, LeaderEpoch: -1}
	}
	done, err := d.admin.AlterConsumerGroupOffsets(c.Group,
		map[string]map[int32]sarama.OffsetAndMetadata{c.Topic: offsets}, nil)
	if err != nil {
		return err
	}
	for _, code := range done.Errors[c.Topic] {
		if code != sarama.ErrNoError {
			return code
		}
	}
	return nil
}

func (d *driver) listOffsets(c contract.Command) (contract.Reply, error) {
	at := sarama.OffsetNewest
	switch value := c.At.(type) {
	case float64:
		at = int64(value)
	case string:
		if value == "earliest" {
			at = sarama.OffsetOldest
		}
	}
	offset, err := d.client.GetOffset(c.Topic, c.Partition, at)
	return contract.Reply{"offset": offset}, err
}
