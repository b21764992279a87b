//! Topics, configs, groups and their offsets.

use crate::{wire, Driver, Reply, REQUEST_TIME};
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigSource, NewPartitions, NewTopic,
    ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, DefaultConsumerContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use serde_json::{json, Map, Value};
use std::collections::BTreeMap;
use std::error::Error;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

type Admin = AdminClient<DefaultClientContext>;

pub fn run(driver: &Driver, command: &Value) -> Reply {
    let admin: Admin = driver.config().create()?;
    let topic = wire::text(command, "topic");
    let group = wire::text(command, "group");
    let options = AdminOptions::new();
    match wire::text(command, "cmd") {
        "create-topic" => {
            let partitions = command["partitions"].as_i64().unwrap() as i32;
            let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
            for (name, value) in command["config"].as_object().unwrap() {
                new = new.set(name, value.as_str().unwrap());
            }
            done(wait(admin.create_topics(&[new], &options))?)
        }
        "delete-topic" => done(wait(admin.delete_topics(&[topic], &options))?),
        "add-partitions" => {
            let count = command["count"].as_u64().unwrap() as usize;
            done(wait(admin.create_partitions(&[NewPartitions::new(topic, count)], &options))?)
        }
        "delete-group" => done(wait(admin.delete_groups(&[group], &options))?),
        "describe-config" => {
            let config = config(&admin, topic, false)?;
            Ok(json!({"config": config}))
        }
        "alter-config" => alter_config(&admin, topic, &command["config"]),
        _ => consumer_commands(driver, command, topic, group),
    }
}

fn done(results: Vec<Result<String, (String, RDKafkaErrorCode)>>) -> Reply {
    for result in results {
        result.map_err(|(name, code)| format!("{name}: {code}"))?;
    }
    Ok(json!({}))
}

fn config(
    admin: &Admin, topic: &str, only_set: bool,
) -> Result<BTreeMap<String, Option<String>>, Box<dyn Error>> {
    let resource = [ResourceSpecifier::Topic(topic)];
    let found = wait(admin.describe_configs(&resource, &AdminOptions::new()))?.remove(0)?;
    let entries = found.entries.into_iter();
    Ok(entries.filter(|e| !only_set || e.source == ConfigSource::DynamicTopic)
        .map(|e| (e.name, e.value)).collect())
}

/// The crate has only the call that replaces a topic's whole config.
fn alter_config(admin: &Admin, topic: &str, changes: &Value) -> Reply {
    let mut wanted = config(admin, topic, true)?;
    for (name, value) in changes.as_object().unwrap() {
        wanted.insert(name.clone(), value.as_str().map(str::to_string));
    }
    let mut alter = AlterConfig::new(ResourceSpecifier::Topic(topic));
    for (name, value) in &wanted {
        alter = alter.set(name, value.as_deref().unwrap_or_default());
    }
    for result in wait(admin.alter_configs(&[alter], &AdminOptions::new()))? {
        result.map_err(|(_, code)| code)?;
    }
    Ok(json!({}))
}

fn consumer_commands(driver: &Driver, command: &Value, topic: &str, group: &str) -> Reply {
    let group = if group.is_empty() { "unused" } else { group };
    let consumer = driver.consumer(group, &[], DefaultConsumerContext)?;
    match wire::text(command, "cmd") {
        "list-topics" => {
            let metadata = consumer.fetch_metadata(None, REQUEST_TIME)?;
            let names: Vec<&str> = metadata.topics().iter().map(|t| t.name()).collect();
            Ok(json!({"topics": names}))
        }
        "describe-topic" => {
            let metadata = consumer.fetch_metadata(Some(topic), REQUEST_TIME)?;
            Ok(json!({"partitions": metadata.topics()[0].partitions().len()}))
        }
        "list-groups" => {
            let list = consumer.fetch_group_list(None, REQUEST_TIME)?;
            let names: Vec<&str> = list.groups().iter().map(|g| g.name()).collect();
            Ok(json!({"groups": names}))
        }
        "describe-group" => {
            let list = consumer.fetch_group_list(Some(group), REQUEST_TIME)?;
            let found = list.groups().first().ok_or("no such group")?;
            Ok(json!({"state": found.state(), "members": found.members().len()}))
        }
        "commit" => {
            let mut list = TopicPartitionList::new();
            for (partition, offset) in command["offsets"].as_object().unwrap() {
                let offset = Offset::Offset(offset.as_i64().unwrap());
                list.add_partition_offset(topic, partition.parse()?, offset)?;
            }
            consumer.commit(&list, CommitMode::Sync)?;
            Ok(json!({}))
        }
        "committed" => {
            let mut list = TopicPartitionList::new();
            for partition in command["partitions"].as_array().unwrap() {
                list.add_partition(topic, partition.as_i64().unwrap() as i32);
            }
            let found = consumer.committed_offsets(list, REQUEST_TIME)?;
            let offsets: Map<String, Value> = found.elements().iter()
                .map(|e| (e.partition(), e.offset().to_raw().unwrap_or(-1).max(-1)))
                .map(|(partition, offset)| (partition.to_string(), json!(offset)))
                .collect();
            Ok(json!({"offsets": offsets}))
        }
        "list-offsets" => list_offset(&consumer, command, topic),
        other => Err(format!("unknown command {other}").into()),
    }
}

fn list_offset(consumer: &BaseConsumer, command: &Value, topic: &str) -> Reply {
    let partition = command["partition"].as_i64().unwrap() as i32;
    let Some(time) = command["at"].as_i64() else {
        let (low, high) = consumer.fetch_watermarks(topic, partition, REQUEST_TIME)?;
        return Ok(json!({"offset": if command["at"] == "earliest" { low } else { high }}));
    };
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(time))?;
    let found = consumer.offsets_for_times(list, REQUEST_TIME)?;
    Ok(json!({"offset": found.elements()[0].offset().to_raw()}))
}

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs one of the crate's futures on this thread: they need a waker, not an async runtime.
fn wait<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
