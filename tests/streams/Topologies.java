import java.time.Duration;
import java.util.List;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.StreamJoined;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.WindowStore;

/**
 * What the application computes. judge.py computes the same from the inputs, in no particular
 * order, so nothing here may depend on the order in which tasks get to see records:
 *
 * <ul>
 *   <li>counts and sums commute; without a cache each step of a count is one record;
 *   <li>windows and their stores outlive all event times of a run, so no record comes too late;
 *   <li>what a join takes of a customer never changes, and all customers are there before the
 *       first order;
 *   <li>two streams are joined when their times are near, whichever comes first.
 * </ul>
 */
final class Topologies {
    private static final Duration WINDOW = Duration.ofSeconds(1);
    private static final Duration NEAR = Duration.ofMillis(100);
    private static final Duration GRACE = Duration.ofHours(6);

    private Topologies() {}

    static Topology all() {
        StreamsBuilder builder = new StreamsBuilder();
        countWords(builder);
        sumReadings(builder);
        joinOrders(builder);
        joinClicks(builder);
        return builder.build();
    }

    private static String firstWord(String text) {
        return text.substring(0, text.indexOf(' '));
    }

    private static void countWords(StreamsBuilder builder) {
        KStream<String, String> lines = builder.stream("lines");
        lines.flatMapValues(line -> List.of(line.split(" ")))
                .groupBy((key, word) -> word, Grouped.as("words"))
                .count(Materialized.<String, Long, KeyValueStore<Bytes, byte[]>>as("counts"))
                .toStream()
                .mapValues(String::valueOf)
                .to("word-counts");
    }

    private static void sumReadings(StreamsBuilder builder) {
        KStream<String, String> readings = builder.stream("readings");
        readings.groupByKey()
                .windowedBy(TimeWindows.ofSizeAndGrace(WINDOW, GRACE))
                .aggregate(() -> "0 0", (key, reading, total) -> add(reading, total),
                        Materialized.<String, String, WindowStore<Bytes, byte[]>>as("sums"))
                .toStream((window, total) -> window.key() + "@" + window.window().start())
                .to("window-sums");
    }

    /** A total is how many readings there were, and their sum. */
    private static String add(String reading, String total) {
        String[] parts = total.split(" ");
        long count = Long.parseLong(parts[0]) + 1;
        return count + " " + (Long.parseLong(parts[1]) + Long.parseLong(reading));
    }

    private static void joinOrders(StreamsBuilder builder) {
        KTable<String, String> customers = builder.table("customers",
                Materialized.<String, String, KeyValueStore<Bytes, byte[]>>as("customers"));
        KStream<String, String> orders = builder.stream("orders");
        orders.selectKey((id, order) -> firstWord(order))
                .join(customers, (order, customer) -> order + " " + firstWord(customer),
                        Joined.as("orders"))
                .to("named-orders");
    }

    private static void joinClicks(StreamsBuilder builder) {
        KStream<String, String> clicks = builder.stream("clicks");
        KStream<String, String> views = builder.stream("views");
        StreamJoined<String, String, String> stores = StreamJoined.as("seen");
        clicks.selectKey((id, click) -> firstWord(click))
                .join(views, (click, view) -> click + " " + view,
                        JoinWindows.ofTimeDifferenceAndGrace(NEAR, GRACE),
                        stores.withName("seen"))
                .to("seen-clicks");
    }
}
