//! Lines of JSON and base64.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use serde_json::Value;
use std::io::Write;

pub fn send(line: Value) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("stdout is open");
}

pub fn encode(data: Option<&[u8]>) -> Option<String> {
    data.map(|bytes| STANDARD.encode(bytes))
}

pub fn bytes(text: &Value) -> Option<Vec<u8>> {
    text.as_str().map(|base64| STANDARD.decode(base64).expect("base64"))
}

pub fn text<'a>(command: &'a Value, name: &str) -> &'a str {
    command[name].as_str().unwrap_or_default()
}
