//! The fuzz targets on stable: each committed seed, a sweep of made-up inputs, and the proof that
//! both would find a fault; and that the seeds are what this very kernel says.
//!
//! `AFUNIX_WRITE_SEEDS=1 cargo test --test fuzz_replay` writes the seeds anew.

mod addr;
mod cmsg;
#[path = "../common/mod.rs"]
mod common;
mod hostile;
#[path = "../../fuzz/planted.rs"]
mod planted;
mod properties;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

/// Whether this machine has words as the seeds that hold some.
fn has_words_of_the_seeds() -> bool {
    let has = cfg!(all(target_endian = "little", target_pointer_width = "64"));
    if !has {
        println!("left out: the seeds hold words of another machine");
    }
    has
}

/// By name, without the folder.
type Seeds = BTreeMap<String, Vec<u8>>;

fn folder(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target)
}

/// The seeds, with the family of an address as this machine has it.
fn committed(target: &str) -> Seeds {
    let files = std::fs::read_dir(folder(target)).expect("a folder of seeds");
    files
        .map(|file| {
            let file = file.expect("a readable folder");
            let name = file.file_name().into_string().expect("a name in UTF-8");
            let mut seed = std::fs::read(file.path()).expect("a readable seed");
            if let ("addr_raw", [_, _, low, high, ..]) = (target, seed.as_mut_slice()) {
                [*low, *high] = u16::from_le_bytes([*low, *high]).to_ne_bytes();
            }
            (name, seed)
        })
        .collect()
}

/// Which inputs the body with its planted fault dies of. The body proper must survive them all.
fn caught<'a, T>(
    body: fn(&[u8], bool),
    inputs: impl IntoIterator<Item = (T, &'a [u8])>,
) -> (Vec<T>, usize) {
    let mut count = 0;
    let mut caught = Vec::new();
    for (name, input) in inputs {
        count += 1;
        body(input, false);
        if catch_unwind(AssertUnwindSafe(|| body(input, true))).is_err() {
            caught.push(name);
        }
    }
    (caught, count)
}

/// Replays the seeds of a target; some must find its planted fault, and not all.
fn check_replay(target: &str, body: fn(&[u8], bool)) {
    let seeds = committed(target);
    let (caught, count) =
        caught(body, seeds.iter().map(|(name, seed)| (name.as_str(), seed.as_slice())));
    println!("{target}: {count} seeds, the fault is found by {caught:?}");
    assert!(!caught.is_empty() && caught.len() < count, "{target}: {caught:?} of {count}");
}

/// Numbers below a limit: xorshift, the same in each run, so that a failure can be seen again.
fn below() -> impl FnMut(usize) -> usize {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    move |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % limit as u64).expect("below a usize")
    }
}

/// Compares seeds with those that are committed, or writes them if that is asked for.
fn check_or_write(target: &str, live: &Seeds, is_same: fn(&str, &[u8], &[u8]) -> bool) {
    if std::env::var_os("AFUNIX_WRITE_SEEDS").is_some_and(|value| value == "1") {
        for (name, seed) in live {
            std::fs::write(folder(target).join(name), seed).expect("a folder to write to");
        }
    }
    let committed = committed(target);
    assert!(live.keys().eq(committed.keys()), "{target}: other names than {:?}", live.keys());
    for (name, seed) in live {
        let same = is_same(name, seed, &committed[name]);
        assert!(same, "{target}/{name}: {seed:x?} and not {:x?}", committed[name]);
    }
}
