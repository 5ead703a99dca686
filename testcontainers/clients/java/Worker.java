// The Java client of Apache Kafka as a worker: see ../README.md.

import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class Worker {
    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("produce")) {
            produce(arguments[1], arguments[2], Integer.parseInt(arguments[3]));
        } else {
            consume(arguments[1], arguments[2], arguments[3]);
        }
    }

    static void produce(String bootstrap, String topic, int count) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("acks", "all");
        AtomicReference<Exception> failed = new AtomicReference<>();
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            for (int n = 0; n < count; n++) {
                String text = Integer.toString(n);
                producer.send(new ProducerRecord<>(topic, text, text), (metadata, error) -> {
                    if (error != null) failed.compareAndSet(null, error);
                });
            }
            producer.flush();
        }
        if (failed.get() != null) throw failed.get();
        System.out.println("produced " + count);
    }

    static void consume(String bootstrap, String topic, String group) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("group.id", group);
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", "false");
        settings.put("partition.assignment.strategy", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor");
        var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
        Thread worker = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            consumer.wakeup();
            try {
                worker.join();
            } catch (InterruptedException e) {
                // The process ends either way.
            }
        }));
        ConsumerRebalanceListener listener = new ConsumerRebalanceListener() {
            public void onPartitionsRevoked(Collection<TopicPartition> partitions) { }

            // A cooperative assignment names only what is new: print all that the member has.
            public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                String all = consumer.assignment().stream().map(p -> Integer.toString(p.partition())).sorted()
                    .collect(Collectors.joining(","));
                System.out.println("assigned " + (all.isEmpty() ? "-" : all));
            }
        };
        try {
            consumer.subscribe(List.of(topic), listener);
            while (true) {
                var records = consumer.poll(Duration.ofMillis(200));
                records.forEach(r -> System.out.println("record " + r.partition() + " " + r.offset() + " " + r.value()));
                if (!records.isEmpty()) consumer.commitSync();
            }
        } catch (WakeupException e) {
            consumer.close();
            System.out.println("left");
        }
    }
}
