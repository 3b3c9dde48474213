//! The `execute` mode: calls as fast as they are answered, for a time. It never keeps more than one
//! call in flight per connection.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::task::LocalSet;

use crate::client::{Client, execute_body};
use crate::process;
use crate::{ExecuteArgs, complain};

/// What the connections have seen so far in the measured window.
#[derive(Default)]
struct Tally {
    /// Latency of each answered call in microseconds.
    latencies: Vec<u32>,
    errors: u64,
    first_error: Option<String>,
    measuring: bool,
}

pub(crate) async fn run(args: &ExecuteArgs) -> io::Result<Value> {
    let tally = Rc::new(RefCell::new(Tally::default()));
    let local = LocalSet::new();
    for number in 0..args.connections {
        let client = Client::connect(&args.common.address, args.common.codec).await?;
        let caller = Caller {
            client,
            query: args.query.clone(),
            keys: args.keys,
            rng: SmallRng::seed_from_u64(number as u64),
            tally: Rc::clone(&tally),
        };
        local.spawn_local(caller.call_forever(args.common.codec));
    }
    local.run_until(measure(args, &tally)).await
}

async fn measure(args: &ExecuteArgs, tally: &RefCell<Tally>) -> io::Result<Value> {
    tokio::time::sleep(args.warmup).await;
    let cpu_before = process::cpu_time(&args.common.pid)?;
    let started = Instant::now();
    tally.borrow_mut().measuring = true;
    tokio::time::sleep(args.duration).await;
    tally.borrow_mut().measuring = false;
    let elapsed = started.elapsed();
    let cpu = process::cpu_time(&args.common.pid)?.saturating_sub(cpu_before);
    let mut tally = tally.borrow_mut();
    if let Some(error) = &tally.first_error {
        complain(&format!("loadgen: the first error: {error}"));
    }
    if tally.latencies.is_empty() {
        return Err(io::Error::other("no call was answered"));
    }
    tally.latencies.sort_unstable();
    Ok(report(args, &tally, elapsed, cpu))
}

fn report(args: &ExecuteArgs, tally: &Tally, elapsed: Duration, cpu: Duration) -> Value {
    let calls = tally.latencies.len() as f64;
    let mut report = json!({
        "connections": args.connections,
        "seconds": round(elapsed.as_secs_f64()),
        "calls": tally.latencies.len(),
        "errors": tally.errors,
        "calls_per_second": round(calls / elapsed.as_secs_f64()),
        "p50_us": percentile(&tally.latencies, 0.50),
        "p95_us": percentile(&tally.latencies, 0.95),
        "p99_us": percentile(&tally.latencies, 0.99),
        "max_us": tally.latencies.last(),
    });
    if let (Value::Object(fields), false) = (&mut report, args.common.pid.is_empty()) {
        let per_call = cpu.as_secs_f64() * 1e6 / calls;
        fields.insert("server_cpu_us_per_call".to_owned(), json!(round(per_call)));
    }
    report
}

struct Caller {
    client: Client,
    query: String,
    keys: u32,
    rng: SmallRng,
    tally: Rc<RefCell<Tally>>,
}

impl Caller {
    async fn call_forever(mut self, codec: goridge_framing::Codec) {
        let mut body = Vec::new();
        loop {
            let key = self.rng.random_range(1..=self.keys);
            execute_body(codec, &self.query, Some(key), &mut body);
            let started = Instant::now();
            let result = self.client.execute(&body).await;
            let micros = u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX);
            let mut tally = self.tally.borrow_mut();
            match result {
                Ok(_) if tally.measuring => tally.latencies.push(micros),
                Ok(_) => {}
                Err(error) => {
                    tally.errors += 1;
                    let lost = error.kind() != io::ErrorKind::Other;
                    tally.first_error.get_or_insert_with(|| error.to_string());
                    if lost {
                        return;
                    }
                }
            }
        }
    }
}

/// The value below which `share` of the sorted values lie.
fn percentile(sorted: &[u32], share: f64) -> Option<u32> {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use clap::Parser;
    use goridge_framing::{Codec, RpcDecoder, encode_request};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values: Vec<u32> = (1..=100).collect();
        assert_eq!(percentile(&values, 0.50), Some(50));
        assert_eq!(percentile(&values, 0.99), Some(99));
        assert_eq!(percentile(&[7], 0.5), Some(7));
        assert_eq!(percentile(&[], 0.5), None);
    }

    /// Answers every request on every connection with one body.
    async fn answering_server(body: &'static [u8]) -> String {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = format!("tcp://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut decoder, mut incoming) = (RpcDecoder::new(1 << 20), BytesMut::new());
                    while stream.read_buf(&mut incoming).await.is_ok_and(|count| count > 0) {
                        while let Some(frame) = decoder.decode(&mut incoming).unwrap() {
                            let mut reply = Vec::new();
                            let method = frame.method().unwrap();
                            encode_request(&mut reply, Codec::Json, frame.seq, method, body)
                                .unwrap();
                            stream.write_all(&reply).await.unwrap();
                        }
                    }
                });
            }
        });
        address
    }

    fn args(address: &str) -> ExecuteArgs {
        let own = std::process::id().to_string();
        let cli = ["loadgen", "execute", "--connections", "3", "--duration", "0.3"];
        let more = ["--warmup", "0.1", "--pid", &own, "--address", address];
        match crate::Cli::parse_from(cli.into_iter().chain(more)).mode {
            crate::Mode::Execute(args) => args,
            _ => panic!("wrong mode"),
        }
    }

    #[tokio::test]
    async fn measures_what_is_answered_and_counts_errors() {
        let address = answering_server(br#"{"rows":[{"abalance":0}]}"#).await;
        let report = run(&args(&address)).await.unwrap();
        assert!(report["calls"].as_u64().unwrap() > 0);
        assert_eq!(report["errors"], 0);
        assert!(report["server_cpu_us_per_call"].as_f64().is_some());
        assert!(report["p50_us"].as_u64() <= report["p99_us"].as_u64());

        let address = answering_server(br#"{"error":"no","sqlstate":"53300"}"#).await;
        assert!(run(&args(&address)).await.is_err(), "only errors is no measurement");
    }
}
