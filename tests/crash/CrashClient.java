import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * The Java client of the crash loop: {@code CrashClient ROLE BOOTSTRAP NAME HISTORY SEED LIFE
 * RATE}, with the roles produce, copy (transactions of protocol version 2) and read of client.py,
 * and its rules.
 */
public final class CrashClient {
    private static final String IN = "in";
    private static final int PARTITION_COUNT = 3;
    private static final double ABORT_SHARE = 0.15;
    private static final int BATCH_MAX = 60;
    private static final int BATCH_RATE_MAX = 10;
    private static final int HANDFUL = 8;
    private static final long PACE_MS = 40;
    private static final Duration POLL = Duration.ofMillis(100);

    private final String bootstrap;
    private final String name;
    private final String life;
    private final int rate;
    private final Random random;
    private final PrintStream history;
    private final CountDownLatch ended = new CountDownLatch(1);

    private CrashClient(String[] args) throws IOException {
        bootstrap = args[1];
        name = args[2];
        history = new PrintStream(new FileOutputStream(args[3], true), false,
                StandardCharsets.UTF_8);
        life = args[5];
        rate = Integer.parseInt(args[6]);
        random = new Random((args[4].hashCode() * 31L + name.hashCode()) * 31L + life.hashCode());
        Thread waiter = new Thread(this::awaitEnd);
        waiter.setDaemon(true);
        waiter.start();
    }

    public static void main(String[] args) throws Exception {
        CrashClient client = new CrashClient(args);
        switch (args[0]) {
            case "produce" -> client.produce();
            case "copy" -> client.copy();
            default -> client.read();
        }
    }

    private void awaitEnd() {
        try {
            while (System.in.read() >= 0) {}
        } catch (IOException gone) {
            // the end as well
        }
        ended.countDown();
    }

    private boolean isEnded(long withinMs) throws InterruptedException {
        return ended.await(withinMs, TimeUnit.MILLISECONDS);
    }

    /** One line of history; text holds JSON members. */
    private synchronized void note(String op, String format, Object... values) {
        history.println("{\"op\": \"" + op + "\", " + String.format(format, values) + "}");
        history.flush();
    }

    private Map<String, Object> settings() {
        Map<String, Object> all = new HashMap<>();
        all.put("bootstrap.servers", bootstrap);
        all.put("client.id", name);
        all.put("reconnect.backoff.ms", 20);
        all.put("reconnect.backoff.max.ms", 100);
        all.put("retry.backoff.ms", 20);
        all.put("retry.backoff.max.ms", 200);
        return all;
    }

    private Producer<String, String> producer(Map<String, Object> more) {
        Map<String, Object> all = settings();
        all.put("acks", "all");
        all.put("linger.ms", 2);
        all.putAll(more);
        return new KafkaProducer<>(all, new StringSerializer(), new StringSerializer());
    }

    private void send(Producer<String, String> producer, String topic, int partition, String value) {
        producer.send(new ProducerRecord<>(topic, partition, null, value), (where, failure) -> {
            if (failure == null) {
                note("ack", "\"topic\": \"%s\", \"partition\": %d, \"offset\": %d, "
                        + "\"value\": \"%s\"", topic, where.partition(), where.offset(), value);
            }
        });
    }

    private void produce() throws InterruptedException {
        Map<String, Object> patient = Map.of("delivery.timeout.ms", 600_000);
        try (Producer<String, String> producer = producer(patient)) {
            long number = 0;
            while (!isEnded(PACE_MS)) {
                for (int left = rate * (1 + random.nextInt(HANDFUL)); left > 0; left--) {
                    String value = name + "." + life + "-" + number++;
                    note("send", "\"topic\": \"%s\", \"value\": \"%s\"", IN, value);
                    send(producer, IN, random.nextInt(PARTITION_COUNT), value);
                }
            }
            producer.flush();
        }
    }

    private KafkaConsumer<String, String> consumer(String group, List<String> topics) {
        Map<String, Object> all = settings();
        all.put("group.id", group);
        all.put("enable.auto.commit", false);
        all.put("auto.offset.reset", "earliest");
        all.put("isolation.level", "read_committed");
        all.put("session.timeout.ms", 3000);
        all.put("heartbeat.interval.ms", 500);
        all.put("fetch.max.wait.ms", 100);
        all.put("max.poll.records", BATCH_MAX * Math.min(rate, BATCH_RATE_MAX));
        KafkaConsumer<String, String> consumer =
                new KafkaConsumer<>(all, new StringDeserializer(), new StringDeserializer());
        consumer.subscribe(topics, new ConsumerRebalanceListener() {
            @Override
            public void onPartitionsAssigned(Collection<TopicPartition> added) {
                for (TopicPartition part : added) {
                    note("assign", "\"topic\": \"%s\", \"partition\": %d", part.topic(),
                            part.partition());
                }
            }

            @Override
            public void onPartitionsRevoked(Collection<TopicPartition> gone) {}
        });
        return consumer;
    }

    /** A member of a group that notes what it is shown. */
    private void read() throws InterruptedException {
        List<String> topics = List.of(IN, "out-python", "out-java", "out-go");
        try (KafkaConsumer<String, String> consumer = consumer("readers", topics)) {
            boolean isBehind = false;
            while (!isEnded(0)) {
                for (ConsumerRecord<String, String> record : consumer.poll(POLL)) {
                    isBehind = true;
                    note("read", "\"reader\": \"readers\", \"topic\": \"%s\", "
                            + "\"partition\": %d, \"offset\": %d, \"value\": \"%s\"",
                            record.topic(), record.partition(), record.offset(), record.value());
                }
                isBehind = isBehind && !commit(consumer);
            }
        }
    }

    /** Whether all that was read is committed, or belongs to another member by now. */
    private boolean commit(KafkaConsumer<String, String> consumer) {
        try {
            consumer.commitSync();
            return true;
        } catch (CommitFailedException | RebalanceInProgressException | TimeoutException moved) {
            return false;
        }
    }

    private void copy() throws InterruptedException {
        long number = 0;
        while (!isEnded(0)) {
            Map<String, Object> more = Map.of("transactional.id", "txn-" + name,
                    "transaction.timeout.ms", 20_000, "delivery.timeout.ms", 15_000,
                    "request.timeout.ms", 10_000);
            try (Producer<String, String> producer = producer(more);
                    KafkaConsumer<String, String> input = consumer("copy-" + name, List.of(IN))) {
                insist(producer::initTransactions);
                number = copyUntilUnknown(producer, input, number);
            } catch (KafkaException broken) {
                System.err.println(name + ": begins anew: " + broken);
            }
        }
    }

    /** Copies until the end, or until only a new producer can say what became of a transaction. */
    private long copyUntilUnknown(Producer<String, String> producer,
            KafkaConsumer<String, String> input, long number) throws InterruptedException {
        while (!isEnded(0)) {
            ConsumerRecords<String, String> batch = input.poll(POLL);
            if (batch.isEmpty()) {
                continue;
            }
            number++;
            String txn = name + "." + life + "." + number;
            String how = copyBatch(producer, input, batch, txn);
            note("end", "\"txn\": \"%s\", \"how\": \"%s\"", txn, how);
            if (how.equals("unknown") || how.equals("aborted") && !rewind(input, batch)) {
                return number;
            }
        }
        return number;
    }

    private String copyBatch(Producer<String, String> producer,
            KafkaConsumer<String, String> input, ConsumerRecords<String, String> batch,
            String txn) {
        boolean isMeant = random.nextDouble() >= ABORT_SHARE;
        note("generation", "\"group\": \"copy-%s\", \"generation\": %d", name,
                input.groupMetadata().generationId());
        try {
            producer.beginTransaction();
            Map<TopicPartition, OffsetAndMetadata> after = new HashMap<>();
            int at = 0;
            for (ConsumerRecord<String, String> record : batch) {
                String value = txn + "/" + at++;
                note("send", "\"topic\": \"out-%s\", \"value\": \"%s\", \"txn\": \"%s\", "
                        + "\"source\": [\"%s\", %d, %d]", name, value, txn, record.topic(),
                        record.partition(), record.offset());
                send(producer, "out-" + name, (int) (record.offset() % 2), value);
                after.put(new TopicPartition(record.topic(), record.partition()),
                        new OffsetAndMetadata(record.offset() + 1));
            }
            producer.sendOffsetsToTransaction(after, input.groupMetadata());
            if (isMeant) {
                insist(producer::commitTransaction);
                return "committed";
            }
        } catch (KafkaException broken) {
            System.err.println(txn + ": " + broken);
        }
        try {
            insist(producer::abortTransaction);
            return "aborted";
        } catch (KafkaException broken) {
            return "unknown";
        }
    }

    /** A call that took too long may be made again, says its documentation. */
    private static void insist(Runnable call) {
        while (true) {
            try {
                call.run();
                return;
            } catch (TimeoutException late) {
                System.err.println("again: " + late);
            }
        }
    }

    private static boolean rewind(KafkaConsumer<String, String> input,
            ConsumerRecords<String, String> batch) {
        try {
            for (TopicPartition partition : batch.partitions()) {
                input.seek(partition, batch.records(partition).get(0).offset());
            }
            return true;
        } catch (IllegalStateException revoked) {
            return false;
        }
    }
}
