// Prints the name of every property that Apache Kafka's broker knows, one on a line.
public class Properties {
    public static void main(String[] args) {
        for (String name : org.apache.kafka.server.config.AbstractKafkaConfig.CONFIG_DEF.names()) {
            System.out.println(name);
        }
    }
}
