//! A few thousand inputs for a fuzz target, without a fuzzer: seeds, and what becomes of them when bytes
//! are changed, cut out, doubled and put together. It finds what is near; a fuzzer looks further.

use rand::RngExt;
use rand::rngs::StdRng;

use crate::Seed;

/// Inputs for each target.
const INPUTS: u32 = 4000;
/// Longest input, bytes.
const MAX_INPUT: usize = 4096;
/// Numbers at which parsers are often wrong.
const EDGES: [u8; 6] = [0, 1, 0x7f, 0x80, 0xfe, 0xff];

/// Runs `target`, the fuzz target of that name, on the seeds and their offspring. Which ones it takes is
/// decided by TEST_SEED, which is printed when the target panics.
pub fn smoke(name: &str, seeds: &[&[u8]], target: impl Fn(&[u8])) {
    let seed = Seed::from_env_or_random("TEST_SEED");
    let mut rng = seed.derive(name.bytes().map(u64::from).sum()).rng();
    target(&[]);
    for input in seeds {
        target(input);
    }
    for _ in 0..INPUTS {
        let input = offspring(seeds, &mut rng);
        let shown = Shown(name, &input);
        target(&input);
        drop(shown);
    }
}

/// Shows the input when its target panics.
struct Shown<'a>(&'a str, &'a [u8]);

impl Drop for Shown<'_> {
    #[allow(clippy::print_stderr, reason = "tests speak to their runner, not to a log")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: fails for {:?}", self.0, self.1.escape_ascii().to_string());
        }
    }
}

fn offspring(seeds: &[&[u8]], rng: &mut StdRng) -> Vec<u8> {
    let pick = |rng: &mut StdRng| match seeds.len() {
        0 => Vec::new(),
        count => seeds.get(rng.random_range(0..count)).map_or_else(Vec::new, |seed| seed.to_vec()),
    };
    let mut bytes = pick(rng);
    for _ in 0..rng.random_range(1..8) {
        let at = rng.random_range(0..=bytes.len());
        let end = rng.random_range(at..=bytes.len().min(at + 16));
        match rng.random_range(0..7) {
            0 => drop(bytes.drain(at..end)),
            1 => bytes.truncate(at),
            2 => bytes.insert(at, rng.random()),
            3 => bytes.insert(at, EDGES[rng.random_range(0..EDGES.len())]),
            4 => {
                let piece = bytes.get(at..end).unwrap_or_default().to_vec();
                bytes.splice(at..at, piece);
            }
            5 => bytes.extend(pick(rng)),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << rng.random_range(0..8);
                }
            }
        }
        bytes.truncate(MAX_INPUT);
    }
    bytes
}
