// franz-go on secured listeners: see ../README.md.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

type cell struct {
	Name, Bootstrap, Protocol, Mechanism, Username, Password, Ca, Certificate, Key string
	PatienceMs                                                                     int `json:"patience_ms"`
}

func matrix(topic, count, cells string) error {
	var all []cell
	if err := json.Unmarshal([]byte(cells), &all); err != nil {
		return err
	}
	number, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	for _, one := range all {
		if err := one.run(topic, number); err != nil {
			fmt.Printf("cell %s failed: %s\n", one.Name, strings.ReplaceAll(err.Error(), "\n", " "))
		} else {
			fmt.Printf("cell %s ok\n", one.Name)
		}
	}
	return nil
}

func (c cell) run(topic string, count int) error {
	options, err := c.security()
	if err != nil {
		return err
	}
	patience := 40 * time.Second
	if c.PatienceMs > 0 {
		patience = time.Duration(c.PatienceMs) * time.Millisecond
	}
	limit, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	producer, err := kgo.NewClient(append(options, kgo.DefaultProduceTopic(topic),
		kgo.RecordDeliveryTimeout(patience), kgo.UnknownTopicRetries(1))...)
	if err != nil {
		return err
	}
	defer producer.Close()
	if err := producer.Ping(limit); err != nil {
		return err
	}
	for n := range count {
		record := &kgo.Record{Key: []byte(c.Name), Value: []byte(strconv.Itoa(n))}
		if err := producer.ProduceSync(limit, record).FirstErr(); err != nil {
			return err
		}
	}
	consumer, err := kgo.NewClient(append(options, kgo.ConsumerGroup(c.Name), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		return err
	}
	defer consumer.Close()
	seen := 0
	for seen < count {
		fetches := consumer.PollFetches(limit)
		if limit.Err() != nil {
			return fmt.Errorf("read %d of %d", seen, count)
		}
		fetches.EachRecord(func(record *kgo.Record) {
			if string(record.Key) == c.Name {
				seen++
			}
		})
	}
	return nil
}

func (c cell) security() ([]kgo.Opt, error) {
	options := []kgo.Opt{kgo.SeedBrokers(strings.Split(c.Bootstrap, ",")...)}
	if strings.HasSuffix(c.Protocol, "SSL") {
		pem, err := os.ReadFile(c.Ca)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		config := &tls.Config{RootCAs: roots}
		if c.Certificate != "" {
			pair, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
			if err != nil {
				return nil, err
			}
			config.Certificates = []tls.Certificate{pair}
		}
		options = append(options, kgo.DialTLSConfig(config))
	}
	switch c.Mechanism {
	case "PLAIN":
		options = append(options, kgo.SASL(plain.Auth{User: c.Username, Pass: c.Password}.AsMechanism()))
	case "SCRAM-SHA-256":
		options = append(options, kgo.SASL(scram.Auth{User: c.Username, Pass: c.Password}.AsSha256Mechanism()))
	case "SCRAM-SHA-512":
		options = append(options, kgo.SASL(scram.Auth{User: c.Username, Pass: c.Password}.AsSha512Mechanism()))
	case "OAUTHBEARER":
		options = append(options, kgo.SASL(oauth.Auth{Token: unsecured(c.Username)}.AsMechanism()))
	}
	return options, nil
}

func unsecured(user string) string {
	part := func(value any) string {
		text, _ := json.Marshal(value)
		return base64.RawURLEncoding.EncodeToString(text)
	}
	now := time.Now().Unix()
	return part(map[string]string{"alg": "none"}) + "." +
		part(map[string]any{"sub": user, "iat": now - 5, "exp": now + 600}) + "."
}
