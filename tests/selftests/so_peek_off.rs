//! Peeks that move on, within a write and across writes.

use std::thread;
use std::time::Duration;

use afunix::{Errno, UnixDatagram, UnixSeqpacket, UnixStream};

use crate::check::{Checks, Outcome, case};
use crate::common::{LONG, start_waiting};
use crate::traits::Queue;

for_data!(
    single_chunk
    two_chunks
    two_chunks_blocking
    two_chunks_overlap
    two_chunks_overlap_blocking
);

/// What happens, in this order.
#[derive(Clone, Copy)]
enum Step {
    Send(&'static [u8]),
    /// With so much room, this is peeked at.
    Peek(usize, &'static [u8]),
    /// A peek waits until the first is sent, and sees the second.
    Wait(&'static [u8], usize, &'static [u8]),
}

use Step::{Peek, Send, Wait};

const SINGLE: &[Step] = &[Send(b"aaaabbbb"), Peek(4, b"aaaa"), Peek(100, b"bbbb")];
const TWO: &[Step] = &[Send(b"aaaa"), Send(b"bbbb"), Peek(4, b"aaaa"), Peek(100, b"bbbb")];
const TWO_BLOCKING: &[Step] = &[Wait(b"aaaa", 4, b"aaaa"), Wait(b"bbbb", 100, b"bbbb")];
const OVERLAP_STREAM: &[Step] =
    &[Send(b"aaaa"), Peek(2, b"aa"), Send(b"bbbb"), Peek(4, b"aabb"), Peek(100, b"bb")];
const OVERLAP_MESSAGES: &[Step] =
    &[Send(b"aaaa"), Peek(2, b"aa"), Send(b"bbbb"), Peek(4, b"aa"), Peek(100, b"bbbb")];
const OVERLAP_BLOCKING: &[Step] =
    &[Wait(b"aaaa", 2, b"aa"), Peek(100, b"aa"), Wait(b"bbbb", 100, b"bbbb")];

fn peeks<T: Queue>(checks: &Checks, steps: &[Step]) -> Outcome {
    let (a, b) = T::pair().unwrap();
    if !checks.is_set(b.set_peek_offset(Some(0))) {
        return Ok(());
    }
    b.set_limit(Some(LONG / 2)).unwrap();
    let (mut buf, mut sent) = ([0; 100], 0);
    for (number, step) in steps.iter().enumerate() {
        let (room, wanted, seen) = match *step {
            Send(chunk) => {
                sent += chunk.len();
                checks.same(format_args!("step {number}, send"), a.put(chunk), Ok(chunk.len()))?;
                continue;
            }
            Peek(room, wanted) => (room, wanted, b.look(&mut buf[..room])),
            Wait(chunk, room, wanted) => {
                sent += chunk.len();
                let seen = thread::scope(|scope| {
                    let peek = start_waiting(scope, || b.look(&mut buf[..room]));
                    a.put(chunk).unwrap();
                    peek.join().unwrap()
                });
                (room, wanted, seen)
            }
        };
        let seen = seen.map(|count| &buf[..count]);
        checks.same(format_args!("step {number}, peek of {room}"), seen, Ok(wanted))?;
    }
    // There is no more, and nothing has been taken.
    b.set_limit(Some(Duration::from_millis(5))).unwrap();
    checks.same("the end", b.look(&mut buf), Err(Errno::AGAIN))?;
    let mut left = 0;
    while let Ok(count) = b.get(&mut buf) {
        left += count;
    }
    checks.same("what is left", left, sent)
}

fn single_chunk<T: Queue>(test: &str) {
    case(test, |checks| peeks::<T>(checks, SINGLE));
}

fn two_chunks<T: Queue>(test: &str) {
    case(test, |checks| peeks::<T>(checks, TWO));
}

fn two_chunks_blocking<T: Queue>(test: &str) {
    case(test, |checks| peeks::<T>(checks, TWO_BLOCKING));
}

fn two_chunks_overlap<T: Queue>(test: &str) {
    let is_stream = T::TYPE == libc::SOCK_STREAM;
    let steps = if is_stream { OVERLAP_STREAM } else { OVERLAP_MESSAGES };
    case(test, |checks| peeks::<T>(checks, steps));
}

fn two_chunks_overlap_blocking<T: Queue>(test: &str) {
    case(test, |checks| peeks::<T>(checks, OVERLAP_BLOCKING));
}

/// Each peek with another expectation, and the other types' of an overlap.
fn wrong(checks: &Checks) -> Outcome {
    if !checks.is_set(UnixStream::pair().unwrap().0.set_peek_offset(Some(0))) {
        return Ok(());
    }
    for steps in [SINGLE, TWO, OVERLAP_STREAM, TWO_BLOCKING, OVERLAP_BLOCKING] {
        for number in 0..steps.len() {
            let mut falsified = steps.to_vec();
            match &mut falsified[number] {
                Send(_) => continue,
                Peek(_, wanted) | Wait(_, _, wanted) => *wanted = b"aaab",
            }
            let words = format!("step {number}, peek");
            checks.fails(&words, |checks| peeks::<UnixStream>(checks, &falsified))?;
        }
    }
    checks.fails("step 3", |checks| peeks::<UnixStream>(checks, OVERLAP_MESSAGES))?;
    checks.fails("step 3", |checks| peeks::<UnixSeqpacket>(checks, OVERLAP_STREAM))?;
    checks.fails("step 3", |checks| peeks::<UnixDatagram>(checks, OVERLAP_STREAM))
}

cases!(control: wrong_expectations_fail wrong);
