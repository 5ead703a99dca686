// franz-go as a worker: see ../README.md.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	var err error
	switch os.Args[1] {
	case "produce":
		count, _ := strconv.Atoi(os.Args[4])
		err = produce(os.Args[2], os.Args[3], count)
	case "matrix":
		err = matrix(os.Args[2], os.Args[3], os.Args[4])
	default:
		err = consume(os.Args[2], os.Args[3], os.Args[4])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func produce(bootstrap, topic string, count int) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(bootstrap, ",")...), kgo.DefaultProduceTopic(topic))
	if err != nil {
		return err
	}
	defer client.Close()
	records := make([]*kgo.Record, count)
	for n := range records {
		text := []byte(strconv.Itoa(n))
		records[n] = &kgo.Record{Key: text, Value: text}
	}
	if err := client.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
		return err
	}
	fmt.Println("produced", count)
	return nil
}

func consume(bootstrap, topic, group string) error {
	held := map[int32]bool{}
	assigned := func(_ context.Context, _ *kgo.Client, added map[string][]int32) {
		for _, partition := range added[topic] {
			held[partition] = true
		}
		partitions := make([]string, 0, len(held))
		for partition := range held {
			partitions = append(partitions, strconv.Itoa(int(partition)))
		}
		slices.Sort(partitions)
		text := strings.Join(partitions, ",")
		if text == "" {
			text = "-"
		}
		fmt.Println("assigned", text)
	}
	revoked := func(_ context.Context, _ *kgo.Client, gone map[string][]int32) {
		for _, partition := range gone[topic] {
			delete(held, partition)
		}
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(bootstrap, ",")...),
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(assigned),
		kgo.OnPartitionsRevoked(revoked),
		kgo.OnPartitionsLost(revoked),
	)
	if err != nil {
		return err
	}
	leaving, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	for leaving.Err() == nil {
		fetches := client.PollFetches(leaving)
		fetches.EachRecord(func(record *kgo.Record) {
			fmt.Println("record", record.Partition, record.Offset, string(record.Value))
		})
		if err := client.CommitUncommittedOffsets(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		client.AllowRebalance()
	}
	client.CloseAllowingRebalance()
	fmt.Println("left")
	return nil
}
