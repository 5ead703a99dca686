import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;

import kafka.server.KafkaConfig;

import org.apache.kafka.common.config.AbstractConfig;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.types.Password;
import org.apache.kafka.storage.internals.log.LogConfig;

/**
 * Reads settings, says whether Apache Kafka takes them. A line of input is an object with "kind" (broker or topic), "key"
 * and "settings"; a line of output is an object with "value", the key's value as Kafka understands it (null if it has none),
 * or with "error".
 */
public class Values {
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] arguments) throws Exception {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        KafkaConfig defaults = KafkaConfig.fromProps(minimal(), false);
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            JsonNode question = JSON.readTree(line);
            Properties settings = new Properties();
            question.get("settings").fields().forEachRemaining(f -> settings.setProperty(f.getKey(), f.getValue().asText()));
            String key = question.get("key").asText();
            ObjectNode answer = JSON.createObjectNode();
            try {
                boolean ofTopic = question.get("kind").asText().equals("topic");
                answer.put("value", ofTopic ? topic(defaults, settings, key) : broker(settings, key));
            } catch (Throwable refused) {
                answer.put("error", String.valueOf(refused.getMessage()));
            }
            System.out.println(JSON.writeValueAsString(answer));
        }
    }

    private static Properties minimal() {
        Properties properties = new Properties();
        properties.setProperty("broker.id", "1");
        properties.setProperty("zookeeper.connect", "localhost:2181");
        return properties;
    }

    /** What a broker does with its file before anything is started; the configuration of the logs is made of it at once. */
    private static String broker(Properties settings, String key) {
        KafkaConfig config = KafkaConfig.fromProps(settings, false);
        LogConfig.validateBrokerLogConfigValues(config.extractLogConfigMap(), false);
        new LogConfig(config.extractLogConfigMap());
        config.dynamicConfig();
        return text(config, key, KafkaConfig.configDef());
    }

    /** What AlterConfigs and CreateTopics do with a topic's settings. */
    private static String topic(KafkaConfig defaults, Properties settings, String key) {
        Map<String, Object> broker = new HashMap<>(defaults.extractLogConfigMap());
        LogConfig.validate(new HashMap<>(), settings, broker, false, true);
        LogConfig config = LogConfig.fromProps(broker, settings);
        return text(config, key, LogConfig.configDefCopy());
    }

    private static String text(AbstractConfig config, String key, ConfigDef definition) {
        Object value = config.values().get(key);
        if (value instanceof Password) {
            return ((Password) value).value();
        }
        ConfigDef.ConfigKey known = definition.configKeys().get(key);
        return known == null ? null : ConfigDef.convertToString(value, known.type);
    }
}
