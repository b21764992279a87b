//! The Rust client rdkafka (with the librdkafka that it bundles) behind the command contract
//! (../README.md).

mod admin;
mod transactions;
mod wire;

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{
    BaseConsumer, CommitMode, Consumer, ConsumerContext, DefaultConsumerContext, Rebalance,
};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, ProducerContext};
use rdkafka::util::Timeout;
use rdkafka::{Offset, TopicPartitionList};
use serde_json::{json, Map, Value};
use std::collections::BTreeSet;
use std::error::Error;
use std::io::BufRead;
use std::sync::mpsc::{self, Receiver};
use std::sync::Mutex;
use std::time::{Duration, Instant};

pub type Reply = Result<Value, Box<dyn Error>>;

pub const REQUEST_TIME: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(100);

/// Remembers the first error of a delivery.
#[derive(Default)]
pub struct Deliveries {
    first_error: Mutex<Option<KafkaError>>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        if let Err((error, _)) = result {
            self.first_error.lock().unwrap().get_or_insert(error.clone());
        }
    }
}

/// Reports the whole assignment whenever it changes. The client itself is not asked: when the last
/// partition is let go at a close, nobody may be left to answer.
#[derive(Default)]
struct Assignment {
    owned: Mutex<BTreeSet<i32>>,
}

impl ClientContext for Assignment {}

impl ConsumerContext for Assignment {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, change: &Rebalance<'_>) {
        let mut owned = self.owned.lock().unwrap();
        match change {
            Rebalance::Assign(list) => owned.extend(list.elements().iter().map(|e| e.partition())),
            Rebalance::Revoke(list) => {
                for element in list.elements() {
                    owned.remove(&element.partition());
                }
            }
            Rebalance::Error(_) => return,
        }
        let numbers: Vec<i32> = owned.iter().copied().collect();
        wire::send(json!({"event": "assigned", "partitions": numbers}));
    }
}

pub struct Driver {
    pub bootstrap: String,
    pub producers: transactions::Producers,
    commands: Receiver<Value>,
}

impl Driver {
    pub fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config
    }

    pub fn consumer<C: ConsumerContext>(
        &self, group: &str, more: &[(&str, &str)], context: C,
    ) -> Result<BaseConsumer<C>, KafkaError> {
        let mut config = self.config();
        config.set("group.id", group).set("enable.auto.commit", "false");
        config.set("auto.offset.reset", "earliest");
        for (name, value) in more {
            config.set(*name, *value);
        }
        config.create_with_context(context)
    }

    fn answer(&self, command: &Value) -> Reply {
        match wire::text(command, "cmd") {
            "describe" => Ok(json!({"client": "rdkafka", "version": version()})),
            "produce" => self.produce(command),
            "consume" => self.consume(command),
            "group-consume" => self.group_consume(command),
            "transact" => transactions::transact(self, command),
            "process" => transactions::process(self, command),
            _ => admin::run(self, command),
        }
    }

    fn produce(&self, command: &Value) -> Reply {
        let mut config = self.config();
        config.set("compression.type", command["codec"].as_str().unwrap_or("none"));
        let idempotent = command["idempotent"].as_bool().unwrap_or(false);
        config.set("enable.idempotence", idempotent.to_string());
        config.set("linger.ms", "20");
        if let Some(bytes) = command["max_bytes"].as_i64() {
            config.set("message.max.bytes", (bytes + 1000).to_string());
        }
        let producer: BaseProducer<Deliveries> = config.create_with_context(Deliveries::default())?;
        transactions::send(&producer, wire::text(command, "topic"), &command["records"])?;
        Ok(json!({}))
    }

    fn consume(&self, command: &Value) -> Reply {
        let topic = wire::text(command, "topic");
        let count = command["count"].as_u64().unwrap() as usize;
        let end = Instant::now() + Duration::from_millis(command["timeout_ms"].as_u64().unwrap());
        let isolation = command["isolation"].as_str().unwrap_or("read_committed");
        let more = [("isolation.level", isolation)];
        let consumer = self.consumer("unused", &more, DefaultConsumerContext)?;
        let metadata = consumer.fetch_metadata(Some(topic), REQUEST_TIME)?;
        let mut list = TopicPartitionList::new();
        for partition in metadata.topics()[0].partitions() {
            list.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
        }
        consumer.assign(&list)?;
        let mut records = Vec::new();
        while records.len() < count {
            if Instant::now() > end {
                return Err(format!("got {} of {} records in time", records.len(), count).into());
            }
            if let Some(message) = consumer.poll(POLL) {
                records.push(to_wire(&message?));
            }
        }
        Ok(json!({"records": records}))
    }

    fn group_consume(&self, command: &Value) -> Reply {
        let session = command["session_timeout_ms"].to_string();
        let strategy = match wire::text(command, "strategy") {
            "cooperative" => "cooperative-sticky",
            _ => "range",
        };
        let mut more = vec![
            ("session.timeout.ms", session.as_str()),
            ("heartbeat.interval.ms", "500"),
            ("partition.assignment.strategy", strategy),
        ];
        if let Some(instance) = command["instance"].as_str() {
            more.push(("group.instance.id", instance));
        }
        let consumer = self.consumer(wire::text(command, "group"), &more, Assignment::default())?;
        consumer.subscribe(&[wire::text(command, "topic")])?;
        while self.commands.try_recv().is_err() {
            let Some(message) = consumer.poll(Timeout::After(POLL)) else { continue };
            let message = message?;
            wire::send(json!({"event": "record", "partition": message.partition(),
                "offset": message.offset(), "value": wire::encode(message.payload())}));
            consumer.commit_message(&message, CommitMode::Sync)?;
        }
        Ok(json!({}))
    }
}

fn version() -> String {
    let (_, librdkafka) = rdkafka::util::get_rdkafka_version();
    format!("{} (librdkafka {})", env!("RDKAFKA_CRATE_VERSION"), librdkafka)
}

fn headers(list: &Value) -> OwnedHeaders {
    let pairs = list.as_array().unwrap();
    pairs.iter().fold(OwnedHeaders::new(), |headers, pair| {
        let value = wire::bytes(&pair[1]);
        headers.insert(Header { key: pair[0].as_str().unwrap(), value: value.as_ref() })
    })
}

fn to_wire(message: &BorrowedMessage<'_>) -> Value {
    use rdkafka::message::Headers;
    let headers: Vec<Value> = message.headers().map_or(Vec::new(), |headers| {
        headers.iter().map(|h| json!([h.key, wire::encode(h.value)])).collect()
    });
    json!({"partition": message.partition(), "offset": message.offset(),
        "timestamp": message.timestamp().to_millis(), "key": wire::encode(message.key()),
        "value": wire::encode(message.payload()), "headers": headers})
}

/// Reads stdin on a thread of its own, so that a group member sees `stop` between two polls.
fn read_commands() -> Receiver<Value> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let command = serde_json::from_str(&line.unwrap()).unwrap();
            sender.send(command).unwrap();
        }
    });
    receiver
}

fn main() {
    let driver = Driver {
        bootstrap: std::env::args().nth(1).expect("usage: driver HOST:PORT"),
        producers: Default::default(),
        commands: read_commands(),
    };
    while let Ok(command) = driver.commands.recv() {
        let reply = match driver.answer(&command) {
            Ok(reply) => {
                let mut fields = Map::from_iter([("ok".to_string(), json!(true))]);
                fields.extend(reply.as_object().unwrap().clone());
                Value::Object(fields)
            }
            Err(error) => json!({"ok": false, "error": error.to_string()}),
        };
        wire::send(reply);
    }
}
