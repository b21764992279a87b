// Package contract is the driver's end of the command contract (../../README.md) for Go.
package contract

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strconv"
	"sync"
	"time"
)

// Header is a header's name and value; a nil value is null.
type Header struct {
	Name  string
	Value []byte
}

// Record is one record in either direction. encoding/json writes []byte as base64, nil as null.
type Record struct {
	Partition int32    `json:"partition"`
	Offset    int64    `json:"offset"`
	Timestamp *int64   `json:"timestamp"`
	Key       []byte   `json:"key"`
	Value     []byte   `json:"value"`
	Headers   []Header `json:"headers"`
}

// MarshalJSON writes a header as [name, base64 or null].
func (h Header) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{h.Name, h.Value})
}

// UnmarshalJSON reads a header from [name, base64 or null].
func (h *Header) UnmarshalJSON(data []byte) error {
	var pair [2]*string
	if err := json.Unmarshal(data, &pair); err != nil {
		return err
	}
	h.Name = *pair[0]
	if pair[1] == nil {
		return nil
	}
	value, err := base64.StdEncoding.DecodeString(*pair[1])
	h.Value = value
	return err
}

// Step is one step of `transact`.
type Step struct {
	Do      string   `json:"do"`
	Topic   string   `json:"topic"`
	Records []Record `json:"records"`
}

// Command holds the arguments of every command; each uses its own.
type Command struct {
	Cmd              string            `json:"cmd"`
	Topic            string            `json:"topic"`
	Group            string            `json:"group"`
	Records          []Record          `json:"records"`
	Codec            string            `json:"codec"`
	Idempotent       bool              `json:"idempotent"`
	MaxBytes         int32             `json:"max_bytes"`
	Count            int               `json:"count"`
	TimeoutMs        int               `json:"timeout_ms"`
	Strategy         string            `json:"strategy"`
	Instance         string            `json:"instance"`
	SessionTimeoutMs int               `json:"session_timeout_ms"`
	Offsets          map[string]int64  `json:"offsets"`
	Partitions       json.RawMessage   `json:"partitions"`
	Partition        int32             `json:"partition"`
	At               any               `json:"at"`
	Config           map[string]string `json:"config"`
	Isolation        string            `json:"isolation"`
	Producer         string            `json:"producer"`
	ID               string            `json:"id"`
	Steps            []Step            `json:"steps"`
	From             string            `json:"from"`
	To               string            `json:"to"`
	End              string            `json:"end"`
}

// PartitionList reads `partitions` as the list that `committed` has.
func (c Command) PartitionList() (list []int32) {
	must(json.Unmarshal(c.Partitions, &list))
	return list
}

// PartitionCount reads `partitions` as the number that `create-topic` has.
func (c Command) PartitionCount() (count int32) {
	must(json.Unmarshal(c.Partitions, &count))
	return count
}

// OffsetsByNumber is Offsets with the partitions as numbers.
func (c Command) OffsetsByNumber() map[int32]int64 {
	offsets := map[int32]int64{}
	for text, offset := range c.Offsets {
		partition, err := strconv.ParseInt(text, 10, 32)
		must(err)
		offsets[int32(partition)] = offset
	}
	return offsets
}

// Timeout is how long a consume may take.
func (c Command) Timeout() time.Duration {
	return time.Duration(c.TimeoutMs) * time.Millisecond
}

// SessionTimeout is the group member's.
func (c Command) SessionTimeout() time.Duration {
	return time.Duration(c.SessionTimeoutMs) * time.Millisecond
}

// Reply is the answer's fields besides ok.
type Reply map[string]any

// Handler answers one command. Stop is closed when a `stop` arrives meanwhile.
type Handler func(command Command, stop <-chan struct{}) (Reply, error)

var output sync.Mutex

func send(line any) {
	data, err := json.Marshal(line)
	must(err)
	output.Lock()
	defer output.Unlock()
	_, err = os.Stdout.Write(append(data, '\n'))
	must(err)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// Assigned reports a member's whole assignment.
func Assigned(partitions []int32) {
	sorted := append([]int32{}, partitions...)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i] < sorted[j] })
	send(map[string]any{"event": "assigned", "partitions": sorted})
}

// Handled reports a record that a member handled.
func Handled(partition int32, offset int64, value []byte) {
	send(map[string]any{"event": "record", "partition": partition, "offset": offset, "value": value})
}

// TooLate is the error of a consume that ran out of time.
func TooLate(got, wanted int) error {
	return fmt.Errorf("got %d of %d records in time", got, wanted)
}

// Serve answers commands until stdin ends.
func Serve(handle Handler) {
	commands := make(chan Command)
	go read(commands)
	for command := range commands {
		stop := make(chan struct{})
		if command.Cmd == "group-consume" {
			go func() {
				<-commands
				close(stop)
			}()
		}
		reply, err := handle(command, stop)
		if err != nil {
			send(Reply{"ok": false, "error": err.Error()})
			continue
		}
		line := Reply{"ok": true}
		for name, value := range reply {
			line[name] = value
		}
		send(line)
	}
}

func read(commands chan<- Command) {
	defer close(commands)
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var command Command
		must(json.Unmarshal(line, &command))
		commands <- command
	}
}
