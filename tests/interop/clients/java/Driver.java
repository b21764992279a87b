import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.AppInfoParser;

/** The Java client behind the command contract (../README.md): producer and consumer. */
public final class Driver {
    static final ObjectMapper JSON = new ObjectMapper();
    private static final Duration POLL = Duration.ofMillis(100);

    final String bootstrap;
    private final BufferedReader in;
    private final PrintStream out;
    private final AdminCommands admin;
    private final Transactions transactions;

    private Driver(String bootstrap) {
        this.bootstrap = bootstrap;
        in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        admin = new AdminCommands(bootstrap);
        transactions = new Transactions(this);
    }

    public static void main(String[] args) throws IOException {
        Driver driver = new Driver(args[0]);
        String line;
        while ((line = driver.in.readLine()) != null) {
            driver.send(driver.answer(JSON.readTree(line)));
        }
        driver.admin.close();
    }

    private void send(ObjectNode line) {
        out.println(line);
    }

    private ObjectNode answer(JsonNode command) {
        try {
            return run(command).put("ok", true);
        } catch (ExecutionException e) {
            return JSON.createObjectNode().put("ok", false).put("error", e.getCause().toString());
        } catch (Exception e) {
            return JSON.createObjectNode().put("ok", false).put("error", e.toString());
        }
    }

    private ObjectNode run(JsonNode command) throws Exception {
        switch (command.get("cmd").asText()) {
            case "describe":
                return JSON.createObjectNode().put("client", "java")
                        .put("version", AppInfoParser.getVersion());
            case "produce":
                return produce(command);
            case "consume":
                return consume(command);
            case "group-consume":
                return groupConsume(command);
            case "transact":
                return transactions.transact(command);
            case "process":
                return transactions.process(command);
            default:
                return admin.run(command);
        }
    }

    private ObjectNode produce(JsonNode command) throws Exception {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", bootstrap);
        config.put("compression.type", command.path("codec").asText("none"));
        config.put("enable.idempotence", command.path("idempotent").asBoolean(false));
        config.put("linger.ms", 20);
        if (command.hasNonNull("max_bytes")) {
            config.put("max.request.size", command.get("max_bytes").asInt() + 1000);
        }
        List<Future<RecordMetadata>> acks = new ArrayList<>();
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(
                config, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (JsonNode record : command.get("records")) {
                acks.add(producer.send(toRecord(command.get("topic").asText(), record)));
            }
            for (Future<RecordMetadata> ack : acks) {
                ack.get();
            }
        }
        return JSON.createObjectNode();
    }

    static ProducerRecord<byte[], byte[]> toRecord(String topic, JsonNode wire) {
        Long timestamp = wire.hasNonNull("timestamp") ? wire.get("timestamp").asLong() : null;
        ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(
                topic, wire.get("partition").asInt(), timestamp,
                bytes(wire.get("key")), bytes(wire.get("value")));
        for (JsonNode header : wire.get("headers")) {
            record.headers().add(header.get(0).asText(), bytes(header.get(1)));
        }
        return record;
    }

    private static byte[] bytes(JsonNode text) {
        return text.isNull() ? null : Base64.getDecoder().decode(text.asText());
    }

    private static String text(byte[] bytes) {
        return bytes == null ? null : Base64.getEncoder().encodeToString(bytes);
    }

    KafkaConsumer<byte[], byte[]> consumer(Map<String, Object> more) {
        Map<String, Object> config = new HashMap<>(more);
        config.put("bootstrap.servers", bootstrap);
        config.put("enable.auto.commit", false);
        config.put("auto.offset.reset", "earliest");
        return new KafkaConsumer<>(
                config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private ObjectNode consume(JsonNode command) {
        ObjectNode reply = JSON.createObjectNode();
        ArrayNode records = reply.putArray("records");
        int count = command.get("count").asInt();
        long end = System.nanoTime() + command.get("timeout_ms").asLong() * 1_000_000;
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(isolation(command))) {
            List<TopicPartition> partitions = new ArrayList<>();
            for (PartitionInfo info : consumer.partitionsFor(command.get("topic").asText())) {
                partitions.add(new TopicPartition(info.topic(), info.partition()));
            }
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            while (records.size() < count) {
                if (System.nanoTime() > end) {
                    throw new IllegalStateException(
                            "got " + records.size() + " of " + count + " records in time");
                }
                consumer.poll(POLL).forEach(r -> records.add(toWire(r)));
            }
        }
        return reply;
    }

    private static Map<String, Object> isolation(JsonNode command) {
        return command.hasNonNull("isolation")
                ? Map.of("isolation.level", command.get("isolation").asText()) : Map.of();
    }

    private static ObjectNode toWire(ConsumerRecord<byte[], byte[]> record) {
        ObjectNode wire = JSON.createObjectNode()
                .put("partition", record.partition()).put("offset", record.offset())
                .put("timestamp", record.timestamp())
                .put("key", text(record.key())).put("value", text(record.value()));
        ArrayNode headers = wire.putArray("headers");
        for (Header header : record.headers()) {
            headers.addArray().add(header.key()).add(text(header.value()));
        }
        return wire;
    }

    private ObjectNode groupConsume(JsonNode command) throws IOException {
        Map<String, Object> config = new HashMap<>();
        config.put("group.id", command.get("group").asText());
        config.put("session.timeout.ms", command.get("session_timeout_ms").asInt());
        config.put("heartbeat.interval.ms", 500);
        config.put("partition.assignment.strategy", "org.apache.kafka.clients.consumer."
                + (command.get("strategy").asText().equals("cooperative")
                        ? "CooperativeStickyAssignor" : "RangeAssignor"));
        if (command.hasNonNull("instance")) {
            config.put("group.instance.id", command.get("instance").asText());
        }
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(config)) {
            consumer.subscribe(Set.of(command.get("topic").asText()), new Assignment(consumer));
            while (!in.ready()) {
                int handled = 0;
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) {
                    send(toWire(record).put("event", "record"));
                    handled++;
                }
                if (handled > 0) {
                    consumer.commitSync();
                }
            }
        }
        in.readLine();
        return JSON.createObjectNode();
    }

    /** Reports the whole assignment whenever the group gives or takes partitions. */
    private final class Assignment implements ConsumerRebalanceListener {
        private final KafkaConsumer<?, ?> consumer;

        Assignment(KafkaConsumer<?, ?> consumer) {
            this.consumer = consumer;
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> added) {
            Set<Integer> numbers = new TreeSet<>();
            consumer.assignment().forEach(p -> numbers.add(p.partition()));
            ObjectNode event = JSON.createObjectNode().put("event", "assigned");
            numbers.forEach(event.putArray("partitions")::add);
            send(event);
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> taken) {
            // What was handled is committed before each poll, so nothing is left to commit here.
        }
    }
}
