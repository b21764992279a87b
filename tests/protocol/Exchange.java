import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.Struct;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.record.internal.MemoryRecords;

/**
 * The Java half of the exchange of random messages with our codec.
 *
 * <pre>Exchange IN OUT SEED ROUNDS</pre>
 *
 * Reads each message of IN with Kafka's generated class, writes it again and compares the bytes.
 * Then, for every message and version that came, writes ROUNDS random ones to OUT: built by Kafka's
 * schema of that version, read and written once by its class, which puts tagged fields in their one
 * form. The format of the files is told in exchange.c. Exits 1 where anything differs.
 */
final class Exchange {
    private static final String[] PLACES = {
        "org.apache.kafka.common.message.%sData",
        "org.apache.kafka.common.message.%s",
        "org.apache.kafka.coordinator.group.generated.%s",
        "org.apache.kafka.coordinator.transaction.generated.%s",
    };
    private static final String[] CHARACTERS = {"a", "Z", "0", "-", "\n", "é", "€", "😀"};
    private static final int ELEMENT_COUNT_MAX = 3;
    private static final int FAILURES_SHOWN_MAX = 20;

    private final Map<String, Class<?>> classes = new TreeMap<>();
    private final Random random;

    private Exchange(long seed) {
        random = new Random(seed);
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments.length != 4) {
            System.err.println("usage: Exchange IN OUT SEED ROUNDS");
            System.exit(2);
        }
        Exchange exchange = new Exchange(Long.parseLong(arguments[2]));
        Map<String, short[]> versions = new TreeMap<>();
        boolean same = exchange.check(Path.of(arguments[0]), versions);
        exchange.write(Path.of(arguments[1]), versions, Integer.parseInt(arguments[3]));
        System.exit(same ? 0 : 1);
    }

    /** Reads every message of the file; notes the lowest and highest version of each name. */
    private boolean check(Path path, Map<String, short[]> versions) throws Exception {
        int messageCount = 0;
        int failureCount = 0;
        try (DataInputStream in =
                new DataInputStream(new BufferedInputStream(Files.newInputStream(path)))) {
            while (true) {
                String name;
                try {
                    name = in.readUTF();
                } catch (EOFException end) {
                    break;
                }
                short version = in.readShort();
                byte[] bytes = in.readNBytes(in.readInt());
                short[] range = versions.computeIfAbsent(name, n -> new short[] {version, version});
                range[0] = (short) Math.min(range[0], version);
                range[1] = (short) Math.max(range[1], version);
                messageCount++;
                String failure = failure(name, version, bytes);
                if (failure != null && failureCount++ < FAILURES_SHOWN_MAX) {
                    System.err.printf("%s version %d: %s%n", name, version, failure);
                }
            }
        }
        System.out.printf(
            "Kafka read %d messages of ours, %d differ%n", messageCount, failureCount);
        return messageCount > 0 && failureCount == 0;
    }

    private String failure(String name, short version, byte[] bytes) throws Exception {
        try {
            byte[] again = rewrite(name, version, ByteBuffer.wrap(bytes));
            return Arrays.equals(again, bytes) ? null : "encoded to other bytes";
        } catch (RuntimeException refused) {
            return refused.toString();
        }
    }

    /** Reads the whole buffer with the generated class, and returns what the class writes. */
    private byte[] rewrite(String name, short version, ByteBuffer buffer) throws Exception {
        Message message = (Message) find(name).getDeclaredConstructor().newInstance();
        message.read(new ByteBufferAccessor(buffer), version);
        if (buffer.hasRemaining()) {
            throw new IllegalStateException(buffer.remaining() + " bytes are left");
        }
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer out = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(out), cache, version);
        if (out.hasRemaining()) {
            throw new IllegalStateException("size() and write() disagree");
        }
        return out.array();
    }

    private Class<?> find(String name) throws ClassNotFoundException {
        Class<?> found = classes.get(name);
        for (int i = 0; found == null && i < PLACES.length; i++) {
            try {
                found = Class.forName(String.format(PLACES[i], name));
            } catch (ClassNotFoundException elsewhere) {
                continue;
            }
        }
        if (found == null) {
            throw new ClassNotFoundException(name);
        }
        classes.put(name, found);
        return found;
    }

    private void write(Path path, Map<String, short[]> versions, int rounds) throws Exception {
        try (DataOutputStream out = new DataOutputStream(
                new BufferedOutputStream(Files.newOutputStream(path)))) {
            for (Map.Entry<String, short[]> entry : versions.entrySet()) {
                Schema[] schemas = (Schema[]) find(entry.getKey()).getField("SCHEMAS").get(null);
                for (short v = entry.getValue()[0]; v <= entry.getValue()[1]; v++) {
                    for (int round = 0; round < rounds; round++) {
                        writeOne(out, entry.getKey(), v, schemas[v]);
                    }
                }
            }
        }
    }

    private void writeOne(DataOutputStream out, String name, short version, Schema schema)
            throws Exception {
        Struct struct = randomStruct(schema);
        ByteBuffer buffer = ByteBuffer.allocate(schema.sizeOf(struct));
        schema.write(buffer, struct);
        buffer.flip();
        byte[] bytes = rewrite(name, version, buffer);
        out.writeUTF(name);
        out.writeShort(version);
        out.writeInt(bytes.length);
        out.write(bytes);
    }

    private Struct randomStruct(Schema schema) {
        Struct struct = new Struct(schema);
        for (BoundField field : schema.fields()) {
            struct.set(field, randomValue(field.def.type));
        }
        return struct;
    }

    private Object randomValue(Type type) {
        if (type instanceof TaggedFields) {
            TreeMap<Integer, Object> chosen = new TreeMap<>();
            for (Map.Entry<Integer, Field> field : ((TaggedFields) type).fields().entrySet()) {
                if (random.nextBoolean()) {
                    chosen.put(field.getKey(), randomValue(field.getValue().type));
                }
            }
            return chosen;
        }
        if (type.isNullable() && random.nextInt(4) == 0) {
            return null;
        }
        if (type instanceof Schema) {
            return randomStruct((Schema) type);
        }
        if (type.arrayElementType().isPresent()) {
            Object[] items = new Object[random.nextInt(ELEMENT_COUNT_MAX + 1)];
            Arrays.setAll(items, i -> randomValue(type.arrayElementType().get()));
            return items;
        }
        return randomScalar(type.toString());
    }

    private Object randomScalar(String type) {
        long number = randomNumber();
        switch (type) {
            case "BOOLEAN": return (number & 1) != 0;
            case "INT8": return (byte) number;
            case "INT16": return (short) number;
            case "UINT16": return (int) (number & 0xffff);
            case "INT32": return (int) number;
            case "UNSIGNED_INT32": return number & 0xffffffffL;
            case "INT64": return number;
            case "FLOAT64": return (double) number;
            case "UUID": return new Uuid(random.nextLong(), random.nextLong());
            default: break;
        }
        if (type.endsWith("STRING")) {
            return randomText();
        }
        byte[] bytes = new byte[randomSize()];
        random.nextBytes(bytes);
        if (type.endsWith("RECORDS")) {
            return MemoryRecords.readableRecords(ByteBuffer.wrap(bytes));
        }
        if (type.endsWith("BYTES")) {
            return ByteBuffer.wrap(bytes);
        }
        throw new IllegalStateException("the type " + type + " is new");
    }

    private int randomSize() {
        return random.nextInt(random.nextInt(16) == 0 ? 300 : 12);
    }

    private String randomText() {
        StringBuilder text = new StringBuilder();
        for (int size = randomSize(); size > 0; size--) {
            text.append(CHARACTERS[random.nextInt(CHARACTERS.length)]);
        }
        return text.toString();
    }

    /** Ends of the ranges come up as often as numbers from within. */
    private long randomNumber() {
        long[] ends = {0, 1, -1, Byte.MAX_VALUE, Byte.MIN_VALUE, Short.MAX_VALUE, Short.MIN_VALUE,
            Integer.MAX_VALUE, Integer.MIN_VALUE, Long.MAX_VALUE, Long.MIN_VALUE};
        return random.nextBoolean() ? ends[random.nextInt(ends.length)] : random.nextLong();
    }
}
