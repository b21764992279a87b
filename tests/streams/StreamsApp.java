import java.io.IOException;
import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;

/**
 * One instance of the application: {@code StreamsApp BOOTSTRAP NAME STATE GUARANTEE}, with its
 * stores in the folder STATE. Says each of its states on standard output, works until its standard
 * input ends, and exits 0 if it could close in order.
 */
public final class StreamsApp {
    private static final String APPLICATION = "loop";
    private static final Duration CLOSE = Duration.ofSeconds(30);

    private StreamsApp() {}

    public static void main(String[] args) throws Exception {
        CountDownLatch ended = new CountDownLatch(1);
        KafkaStreams streams = new KafkaStreams(Topologies.all(), settings(args));
        streams.setStateListener((now, before) -> {
            System.out.println("state " + now);
            System.out.flush();
            if (now == KafkaStreams.State.ERROR) {
                Runtime.getRuntime().halt(1);
            }
        });
        streams.setUncaughtExceptionHandler(thrown -> {
            System.err.println("a thread is replaced: " + thrown);
            return StreamThreadExceptionResponse.REPLACE_THREAD;
        });
        Thread waiter = new Thread(() -> awaitEnd(ended));
        waiter.setDaemon(true);
        waiter.start();
        streams.start();
        ended.await();
        Runtime.getRuntime().halt(streams.close(CLOSE) ? 0 : 1);
    }

    private static void awaitEnd(CountDownLatch ended) {
        try {
            while (System.in.read() >= 0) {}
        } catch (IOException gone) {
            // the end as well
        }
        ended.countDown();
    }

    private static Properties settings(String[] args) {
        Properties all = new Properties();
        all.put(StreamsConfig.APPLICATION_ID_CONFIG, APPLICATION);
        all.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
        all.put(StreamsConfig.CLIENT_ID_CONFIG, args[1]);
        all.put(StreamsConfig.STATE_DIR_CONFIG, args[2]);
        all.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, args[3]);
        all.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        all.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        all.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
        all.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100);
        // Each update is a record, so that outputs show every step and not only where it ended.
        all.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
        // Tasks move at once to whoever joins, which then restores their stores.
        all.put(StreamsConfig.ACCEPTABLE_RECOVERY_LAG_CONFIG, Long.MAX_VALUE);
        // What was repartitioned and read is deleted soon, not after half a minute.
        all.put(StreamsConfig.REPARTITION_PURGE_INTERVAL_MS_CONFIG, 1000);
        hurry(all);
        return all;
    }

    /** What is dead is noticed within seconds, and what comes back is found at once. */
    private static void hurry(Properties all) {
        all.put(StreamsConfig.RECONNECT_BACKOFF_MS_CONFIG, 20);
        all.put(StreamsConfig.RECONNECT_BACKOFF_MAX_MS_CONFIG, 100);
        all.put(StreamsConfig.RETRY_BACKOFF_MS_CONFIG, 20);
        all.put(StreamsConfig.consumerPrefix(ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG), 2000);
        all.put(StreamsConfig.consumerPrefix(ConsumerConfig.HEARTBEAT_INTERVAL_MS_CONFIG), 300);
        all.put(StreamsConfig.producerPrefix("linger.ms"), 5);
        all.put(StreamsConfig.producerPrefix("transaction.timeout.ms"), 5000);
    }
}
