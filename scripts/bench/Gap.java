import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * The client of scripts/bench/restart: Kafka's idempotent producer with acks=all, which sends a small record to each
 * partition every 5 ms and keeps for each partition the longest time between two acknowledgements.
 *
 * Commands on standard input, one answer line each: "insync" (answers when every replica is in sync), "gap" (the longest
 * gap in milliseconds of any partition since the last "gap", the records acknowledged, the records that failed). It ends with its input.
 */
public class Gap {
    static final String TOPIC = "gap";
    static final int PARTITIONS = 6;
    static final long[] last = new long[PARTITIONS];
    static long longest;
    static long acknowledged;
    static long failed;

    static synchronized void answered(int partition, Exception error) {
        if (error != null) {
            failed++;
            System.err.println(error);
            return;
        }
        acknowledged++;
        long now = System.nanoTime();
        if (last[partition] != 0)
            longest = Math.max(longest, now - last[partition]);
        last[partition] = now;
    }

    static synchronized String report() {
        String line = longest / 1_000_000 + " " + acknowledged + " " + failed;
        longest = 0;
        return line;
    }

    static void waitInSync(Admin admin) throws Exception {
        while (true) {
            try {
                TopicDescription topic = admin.describeTopics(List.of(TOPIC)).allTopicNames().get().get(TOPIC);
                if (topic.partitions().stream().allMatch(p -> p.leader() != null && p.isr().size() == p.replicas().size()))
                    return;
            } catch (ExecutionException e) {
                // A broker is away: ask again.
            }
            Thread.sleep(50);
        }
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, Object> config = Map.of("bootstrap.servers", arguments[0], "acks", "all", "linger.ms", "0",
                "key.serializer", StringSerializer.class, "value.serializer", StringSerializer.class);
        try (Admin admin = Admin.create(config)) {
            admin.createTopics(List.of(new NewTopic(TOPIC, PARTITIONS, (short) 3).configs(Map.of("min.insync.replicas", "2")))).all().get();
            waitInSync(admin);
            AtomicBoolean going = new AtomicBoolean(true);
            Thread sender = new Thread(() -> {
                try (KafkaProducer<String, String> producer = new KafkaProducer<>(config)) {
                    while (going.get()) {
                        for (int i = 0; i < PARTITIONS; i++) {
                            int partition = i;
                            producer.send(new ProducerRecord<>(TOPIC, partition, null, "x"), (m, e) -> answered(partition, e));
                        }
                        Thread.sleep(5);
                    }
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
            });
            sender.start();
            System.out.println("ready");
            Scanner commands = new Scanner(System.in);
            while (commands.hasNextLine()) {
                switch (commands.nextLine()) {
                    case "insync": waitInSync(admin); System.out.println("insync"); break;
                    case "gap": System.out.println(report()); break;
                    default: System.out.println("unknown");
                }
            }
            going.set(false);
            sender.join();
        }
    }
}
