//! Floods a datagram socket, one message at a time and in batches, and counts the system calls.
//!
//! ```text
//! cargo run --release --example dgram_flood
//! cargo run --release --example dgram_flood -- 1000000
//! ```
//!
//! A thread sends so many numbered messages, and the main one sees to it that none is lost, doubled or
//! out of order. The argument is how many; without it there are 100,000.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, io, thread};

use afunix::{BatchBuf, UnixDatagram};

/// How many bytes a message has; its number is the first eight.
const MESSAGE: usize = 64;

/// The most messages that one call moves here.
const MOST: usize = 128;

/// Neither side waits longer than this for the other.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // Not `eprintln`, which panics where nobody reads.
            let _ = writeln!(io::stderr(), "dgram_flood: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let args: Vec<_> = env::args_os().skip(1).collect();
    let count: u64 = match args.as_slice() {
        [] => 100_000,
        [count] => count.to_str().and_then(|count| count.parse().ok()).ok_or(USAGE)?,
        _ => return Err(USAGE.to_string()),
    };
    for batch in [1, 8, 32, MOST] {
        let (sent, received) = flood(count, batch)?;
        let a_call = |calls: u64| count as f64 / calls.max(1) as f64;
        writeln!(
            io::stdout(),
            "{count} messages, at most {batch} a call: sent in {sent} calls ({:.1} a call), received in \
             {received} ({:.1} a call)",
            a_call(sent),
            a_call(received)
        )
        .map_err(cannot("print"))?;
    }
    Ok(())
}

const USAGE: &str = "usage: dgram_flood [MESSAGES]";

/// Moves so many messages, at most `batch` in a call. The answer is how many calls sent and how many
/// received.
fn flood(count: u64, batch: usize) -> Result<(u64, u64), String> {
    let (sender, receiver) = UnixDatagram::pair().map_err(cannot("make a pair"))?;
    sender.set_write_timeout(Some(PATIENCE)).map_err(cannot("limit the wait"))?;
    receiver.set_read_timeout(Some(PATIENCE)).map_err(cannot("limit the wait"))?;
    let sending = thread::spawn(move || send(&sender, count, batch));
    let received = receive(&receiver, count, batch);
    // Nobody reads any more: if the sender still waits for room, it learns so.
    drop(receiver);
    let sent = sending.join().map_err(|_| "the sender panicked")?;
    // If both failed, it began where the messages are looked at.
    let received = received?;
    Ok((sent?, received))
}

fn send(socket: &UnixDatagram, count: u64, batch: usize) -> Result<u64, String> {
    let mut memory = BatchBuf::<MOST>::new();
    let mut messages = [[0; MESSAGE]; MOST];
    let (mut next, mut calls) = (0, 0);
    while next < count {
        let mut filled = 0;
        for (message, number) in messages.iter_mut().take(batch).zip(next..count) {
            message[..8].copy_from_slice(&number.to_ne_bytes());
            filled += 1;
        }
        let mut batch = memory.sender();
        batch.push_all(&messages[..filled]).map_err(cannot("fill a batch"))?;
        // A call may send only some of them.
        while batch.unsent() > 0 {
            socket.send_batch(&mut batch).map_err(cannot("send"))?;
            calls += 1;
        }
        next += filled as u64;
    }
    Ok(calls)
}

fn receive(socket: &UnixDatagram, count: u64, batch: usize) -> Result<u64, String> {
    let mut memory = BatchBuf::<MOST>::new();
    let mut bufs = [[0; MESSAGE]; MOST];
    let mut batch_of_bufs = memory.receiver();
    batch_of_bufs.push_all(&mut bufs[..batch]).map_err(cannot("fill a batch"))?;
    let (mut next, mut calls) = (0, 0);
    while next < count {
        for message in socket.recv_batch(&mut batch_of_bufs).map_err(cannot("receive"))? {
            let number = message.data.first_chunk().map(|bytes| u64::from_ne_bytes(*bytes));
            if number != Some(next) || message.received.size != MESSAGE {
                return Err(format!("wanted message {next}, found {number:?}"));
            }
            next += 1;
        }
        calls += 1;
    }
    Ok(calls)
}

/// What could not be done, and why.
fn cannot<E: Display>(what: &str) -> impl Fn(E) -> String {
    move |error| format!("cannot {what}: {error}")
}
