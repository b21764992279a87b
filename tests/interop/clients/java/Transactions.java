import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Transactional producers, which live by name from their first step to their `close`. */
final class Transactions {
    private static final int PROCESS_TIMEOUT_MS = 60_000;

    private final Driver driver;
    private final Map<String, KafkaProducer<byte[], byte[]>> producers = new HashMap<>();

    Transactions(Driver driver) {
        this.driver = driver;
    }

    ObjectNode transact(JsonNode command) throws Exception {
        String name = command.get("producer").asText();
        if (!producers.containsKey(name)) {
            producers.put(name, open(command.get("id").asText(),
                    command.get("timeout_ms").asInt()));
        }
        for (JsonNode step : command.get("steps")) {
            take(name, step);
        }
        return Driver.JSON.createObjectNode();
    }

    private KafkaProducer<byte[], byte[]> open(String id, int timeoutMs) {
        Map<String, Object> config = Map.of("bootstrap.servers", driver.bootstrap,
                "transactional.id", id, "transaction.timeout.ms", timeoutMs);
        KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(
                config, new ByteArraySerializer(), new ByteArraySerializer());
        producer.initTransactions();
        return producer;
    }

    private void take(String name, JsonNode step) throws Exception {
        KafkaProducer<byte[], byte[]> producer = producers.get(name);
        switch (step.get("do").asText()) {
            case "begin":
                producer.beginTransaction();
                break;
            case "produce":
                produce(producer, step);
                break;
            case "commit":
                producer.commitTransaction();
                break;
            case "abort":
                producer.abortTransaction();
                break;
            default:
                producers.remove(name).close();
        }
    }

    private static void produce(KafkaProducer<byte[], byte[]> producer, JsonNode step)
            throws Exception {
        List<Future<RecordMetadata>> acks = new ArrayList<>();
        for (JsonNode record : step.get("records")) {
            acks.add(producer.send(Driver.toRecord(step.get("topic").asText(), record)));
        }
        producer.flush();
        for (Future<RecordMetadata> ack : acks) {
            ack.get();
        }
    }

    ObjectNode process(JsonNode command) {
        String from = command.get("from").asText();
        String to = command.get("to").asText();
        int left = command.get("count").asInt();
        Map<String, Object> config = Map.of("group.id", command.get("group").asText(),
                "max.poll.records", 1, "isolation.level", "read_committed");
        try (KafkaConsumer<byte[], byte[]> consumer = driver.consumer(config);
                KafkaProducer<byte[], byte[]> producer =
                        open(command.get("id").asText(), PROCESS_TIMEOUT_MS)) {
            consumer.subscribe(Set.of(from));
            producer.beginTransaction();
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
            while (left > 0) {
                for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(100))) {
                    producer.send(new ProducerRecord<>(to, 0, r.key(), r.value()));
                    offsets.put(new TopicPartition(from, r.partition()),
                            new OffsetAndMetadata(r.offset() + 1));
                    left--;
                }
            }
            producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
            if (command.get("end").asText().equals("commit")) {
                producer.commitTransaction();
            } else {
                producer.flush();
                producer.abortTransaction();
            }
        }
        return Driver.JSON.createObjectNode();
    }
}
