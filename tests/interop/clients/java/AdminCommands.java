import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;

/** The Java Admin behind the command contract: topics, configs, groups and their offsets. */
final class AdminCommands implements AutoCloseable {
    private final Admin admin;

    AdminCommands(String bootstrap) {
        admin = Admin.create(Map.of("bootstrap.servers", bootstrap));
    }

    @Override
    public void close() {
        admin.close();
    }

    ObjectNode run(JsonNode command) throws Exception {
        String topic = command.path("topic").asText();
        String group = command.path("group").asText();
        ObjectNode reply = Driver.JSON.createObjectNode();
        switch (command.get("cmd").asText()) {
            case "create-topic":
                admin.createTopics(List.of(new NewTopic(topic,
                        Optional.of(command.get("partitions").asInt()), Optional.empty())
                        .configs(strings(command.get("config"))))).all().get();
                return reply;
            case "delete-topic":
                admin.deleteTopics(List.of(topic)).all().get();
                return reply;
            case "list-topics":
                admin.listTopics().names().get().forEach(reply.putArray("topics")::add);
                return reply;
            case "describe-topic":
                return reply.put("partitions", admin.describeTopics(List.of(topic))
                        .allTopicNames().get().get(topic).partitions().size());
            case "describe-config":
                return describeConfig(topic, reply);
            case "alter-config":
                return alterConfig(topic, command.get("config"), reply);
            case "add-partitions":
                admin.createPartitions(Map.of(topic,
                        NewPartitions.increaseTo(command.get("count").asInt()))).all().get();
                return reply;
            case "list-offsets":
                return listOffsets(command, reply);
            case "commit":
                return commit(command, reply);
            case "committed":
                return committed(command, reply);
            case "list-groups":
                ArrayNode groups = reply.putArray("groups");
                for (GroupListing listing : admin.listGroups().all().get()) {
                    groups.add(listing.groupId());
                }
                return reply;
            case "describe-group":
                ConsumerGroupDescription described = admin.describeConsumerGroups(List.of(group))
                        .all().get().get(group);
                return reply.put("state", described.groupState().toString())
                        .put("members", described.members().size());
            case "delete-group":
                admin.deleteConsumerGroups(List.of(group)).all().get();
                return reply;
            default:
                throw new IllegalArgumentException("unknown command " + command.get("cmd"));
        }
    }

    private static Map<String, String> strings(JsonNode object) {
        Map<String, String> map = new HashMap<>();
        object.properties().forEach(e -> map.put(e.getKey(), e.getValue().asText()));
        return map;
    }

    private ObjectNode describeConfig(String topic, ObjectNode reply) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        ObjectNode config = reply.putObject("config");
        for (ConfigEntry entry : admin.describeConfigs(List.of(resource)).all().get()
                .get(resource).entries()) {
            config.put(entry.name(), entry.value());
        }
        return reply;
    }

    private ObjectNode alterConfig(String topic, JsonNode config, ObjectNode reply)
            throws Exception {
        List<AlterConfigOp> operations = new ArrayList<>();
        strings(config).forEach((name, value) -> operations.add(
                new AlterConfigOp(new ConfigEntry(name, value), AlterConfigOp.OpType.SET)));
        admin.incrementalAlterConfigs(Map.of(
                new ConfigResource(ConfigResource.Type.TOPIC, topic), operations)).all().get();
        return reply;
    }

    private ObjectNode listOffsets(JsonNode command, ObjectNode reply) throws Exception {
        TopicPartition partition = new TopicPartition(
                command.get("topic").asText(), command.get("partition").asInt());
        JsonNode at = command.get("at");
        OffsetSpec spec = at.isNumber() ? OffsetSpec.forTimestamp(at.asLong())
                : at.asText().equals("earliest") ? OffsetSpec.earliest() : OffsetSpec.latest();
        return reply.put("offset", admin.listOffsets(Map.of(partition, spec))
                .partitionResult(partition).get().offset());
    }

    private ObjectNode commit(JsonNode command, ObjectNode reply)
            throws ExecutionException, InterruptedException {
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        command.get("offsets").properties().forEach(e -> offsets.put(
                new TopicPartition(command.get("topic").asText(), Integer.parseInt(e.getKey())),
                new OffsetAndMetadata(e.getValue().asLong())));
        admin.alterConsumerGroupOffsets(command.get("group").asText(), offsets).all().get();
        return reply;
    }

    private ObjectNode committed(JsonNode command, ObjectNode reply) throws Exception {
        String group = command.get("group").asText();
        List<TopicPartition> partitions = new ArrayList<>();
        command.get("partitions").forEach(p -> partitions.add(
                new TopicPartition(command.get("topic").asText(), p.asInt())));
        Map<TopicPartition, OffsetAndMetadata> found = admin.listConsumerGroupOffsets(Map.of(group,
                new ListConsumerGroupOffsetsSpec().topicPartitions(partitions)))
                .partitionsToOffsetAndMetadata(group).get();
        ObjectNode offsets = reply.putObject("offsets");
        for (TopicPartition partition : partitions) {
            OffsetAndMetadata offset = found.get(partition);
            offsets.put(String.valueOf(partition.partition()),
                    offset == null ? -1 : offset.offset());
        }
        return reply;
    }
}
