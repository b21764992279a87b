//! Hands the locked version of the rdkafka crate to the driver, which reports it.

fn main() {
    println!("cargo::rerun-if-changed=Cargo.lock");
    let lock = std::fs::read_to_string("Cargo.lock").expect("Cargo.lock");
    let mut lines = lock.lines().skip_while(|line| *line != "name = \"rdkafka\"");
    let version = lines.nth(1).expect("rdkafka in Cargo.lock");
    let version = version.trim_start_matches("version = ").trim_matches('"');
    println!("cargo::rustc-env=RDKAFKA_CRATE_VERSION={version}");
}
