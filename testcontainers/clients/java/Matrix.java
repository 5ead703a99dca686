// The Java client on secured listeners: see ../README.md.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.Duration;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class Matrix {
    public static void main(String[] arguments) throws Exception {
        for (JsonNode cell : new ObjectMapper().readTree(arguments[2])) {
            String name = cell.get("name").asText();
            try {
                run(cell, name, arguments[0], Integer.parseInt(arguments[1]));
                System.out.println("cell " + name + " ok");
            } catch (Exception e) {
                Throwable cause = e.getCause() == null ? e : e.getCause();
                System.out.println("cell " + name + " failed: " + String.valueOf(cause.getMessage()).replace('\n', ' '));
            }
        }
        System.exit(0);
    }

    static void run(JsonNode cell, String name, String topic, int count) throws Exception {
        Properties settings = security(cell);
        // A client that is refused tries again for as long as it may; a short time keeps the matrix quick.
        String patience = cell.path("patience_ms").asText("30000");
        settings.put("max.block.ms", patience);
        settings.put("delivery.timeout.ms", patience);
        settings.put("request.timeout.ms", patience);
        settings.put("linger.ms", "0");
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            for (int n = 0; n < count; n++) {
                producer.send(new ProducerRecord<>(topic, name, Integer.toString(n))).get();
            }
        }
        settings = security(cell);
        settings.put("group.id", name);
        settings.put("auto.offset.reset", "earliest");
        try (var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of(topic));
            long end = System.currentTimeMillis() + 40000;
            int seen = 0;
            while (seen < count) {
                if (System.currentTimeMillis() > end) throw new Exception("read " + seen + " of " + count);
                for (var record : consumer.poll(Duration.ofMillis(200))) {
                    if (name.equals(record.key())) seen++;
                }
            }
        }
    }

    static Properties security(JsonNode cell) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", cell.get("bootstrap").asText());
        String protocol = cell.get("protocol").asText();
        settings.put("security.protocol", protocol);
        if (protocol.endsWith("SSL")) {
            settings.put("ssl.truststore.type", "PEM");
            settings.put("ssl.truststore.location", cell.get("ca").asText());
            if (cell.hasNonNull("bundle")) {
                settings.put("ssl.keystore.type", "PEM");
                settings.put("ssl.keystore.location", cell.get("bundle").asText());
            }
        }
        if (protocol.startsWith("SASL")) {
            String mechanism = cell.get("mechanism").asText();
            String user = cell.path("username").asText(), password = cell.path("password").asText();
            String security = "org.apache.kafka.common.security.";
            settings.put("sasl.mechanism", mechanism);
            settings.put("sasl.jaas.config", switch (mechanism) {
                case "PLAIN" -> security + "plain.PlainLoginModule required username=\"" + user + "\" password=\"" + password + "\";";
                case "OAUTHBEARER" -> security + "oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"" + user + "\";";
                case "GSSAPI" -> "com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true storeKey=true keyTab=\""
                    + cell.get("keytab").asText() + "\" principal=\"" + user + "\";";
                default -> security + "scram.ScramLoginModule required username=\"" + user + "\" password=\"" + password + "\";";
            });
            if (mechanism.equals("GSSAPI")) settings.put("sasl.kerberos.service.name", "kafka");
        }
        return settings;
    }
}
