//! Transactional producers, which live by name from their first step to their `close`.

use crate::{headers, wire, Deliveries, Driver, Reply, REQUEST_TIME};
use rdkafka::consumer::{BaseConsumer, Consumer, DefaultConsumerContext};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::{json, Value};
use std::cell::RefCell;
use std::collections::HashMap;
use std::error::Error;
use std::time::{Duration, Instant};

const PROCESS_TIMEOUT_MS: i64 = 60_000;

type Done = Result<(), Box<dyn Error>>;
pub type Producers = RefCell<HashMap<String, BaseProducer<Deliveries>>>;

/// Sends records and waits for every ack.
pub fn send(producer: &BaseProducer<Deliveries>, topic: &str, records: &Value) -> Done {
    for record in records.as_array().unwrap() {
        let key = wire::bytes(&record["key"]);
        let value = wire::bytes(&record["value"]);
        let mut message = BaseRecord::<[u8], [u8]>::to(topic)
            .partition(record["partition"].as_i64().unwrap() as i32)
            .headers(headers(&record["headers"]));
        message.key = key.as_deref();
        message.payload = value.as_deref();
        message.timestamp = record["timestamp"].as_i64();
        producer.send(message).map_err(|(error, _)| error)?;
        producer.poll(Duration::ZERO);
    }
    producer.flush(REQUEST_TIME)?;
    let failed = producer.context().first_error.lock().unwrap().take();
    failed.map_or(Ok(()), |error| Err(error.into()))
}

fn open(
    driver: &Driver, id: &str, timeout_ms: i64,
) -> Result<BaseProducer<Deliveries>, Box<dyn Error>> {
    let mut config = driver.config();
    config.set("transactional.id", id);
    config.set("transaction.timeout.ms", timeout_ms.to_string());
    let producer: BaseProducer<Deliveries> = config.create_with_context(Deliveries::default())?;
    producer.init_transactions(REQUEST_TIME)?;
    Ok(producer)
}

pub fn transact(driver: &Driver, command: &Value) -> Reply {
    let name = wire::text(command, "producer");
    let mut producers = driver.producers.borrow_mut();
    if !producers.contains_key(name) {
        let timeout_ms = command["timeout_ms"].as_i64().unwrap();
        let producer = open(driver, wire::text(command, "id"), timeout_ms)?;
        producers.insert(name.to_string(), producer);
    }
    for step in command["steps"].as_array().unwrap() {
        let producer = &producers[name];
        match wire::text(step, "do") {
            "begin" => producer.begin_transaction()?,
            "produce" => send(producer, wire::text(step, "topic"), &step["records"])?,
            "commit" => producer.commit_transaction(REQUEST_TIME)?,
            "abort" => producer.abort_transaction(REQUEST_TIME)?,
            _ => drop(producers.remove(name)),
        }
    }
    Ok(json!({}))
}

/// The next record. A poll also ends, with nothing, when it has handled a rebalance.
fn next(consumer: &BaseConsumer) -> Result<BorrowedMessage<'_>, Box<dyn Error>> {
    let end = Instant::now() + REQUEST_TIME;
    while Instant::now() < end {
        if let Some(message) = consumer.poll(REQUEST_TIME) {
            return Ok(message?);
        }
    }
    Err("nothing to process".into())
}

pub fn process(driver: &Driver, command: &Value) -> Reply {
    let from = wire::text(command, "from");
    let consumer = driver.consumer(wire::text(command, "group"), &[], DefaultConsumerContext)?;
    consumer.subscribe(&[from])?;
    let producer = open(driver, wire::text(command, "id"), PROCESS_TIMEOUT_MS)?;
    producer.begin_transaction()?;
    let mut offsets = TopicPartitionList::new();
    for _ in 0..command["count"].as_u64().unwrap() {
        let message = next(&consumer)?;
        let mut record = BaseRecord::<[u8], [u8]>::to(wire::text(command, "to")).partition(0);
        record.key = message.key();
        record.payload = message.payload();
        producer.send(record).map_err(|(error, _)| error)?;
        offsets = TopicPartitionList::new();
        offsets.add_partition_offset(from, message.partition(),
            Offset::Offset(message.offset() + 1))?;
    }
    let group = consumer.group_metadata().ok_or("the member has no group metadata")?;
    producer.send_offsets_to_transaction(&offsets, &group, REQUEST_TIME)?;
    producer.flush(REQUEST_TIME)?;
    match wire::text(command, "end") {
        "commit" => producer.commit_transaction(REQUEST_TIME)?,
        _ => producer.abort_transaction(REQUEST_TIME)?,
    }
    Ok(json!({}))
}
