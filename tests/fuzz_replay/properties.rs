//! What holds for all control messages.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::cmsg::{message, messages};
use crate::{committed, planted};

fn kind() -> impl Strategy<Value = i32> {
    prop_oneof![4 => 1..=5, 1 => Just(84), 1 => any::<i32>()]
}

fn level() -> impl Strategy<Value = i32> {
    prop_oneof![6 => Just(libc::SOL_SOCKET), 1 => any::<i32>()]
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    let byte = || prop_oneof![Just(0), Just(0xff), any::<u8>()];
    prop_oneof![vec(byte(), 0..20), vec(byte(), 12), vec(byte(), 4), vec(byte(), 0..200)]
}

/// Whole messages, with a few bytes more or less at the end.
fn buffer() -> impl Strategy<Value = Vec<u8>> {
    let whole = (level(), kind(), payload())
        .prop_map(|(level, kind, payload)| message(level, kind, &payload));
    (vec(whole, 0..6), 0..24_usize, 0..24_usize).prop_map(|(list, more, less)| {
        let mut bytes = messages(&list);
        bytes.resize(bytes.len() + more, 0);
        bytes.truncate(bytes.len().saturating_sub(less));
        bytes
    })
}

/// Bytes changed here and there.
fn mutated(bytes: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (bytes, vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)).prop_map(
        |(mut bytes, changes)| {
            for (at, byte) in changes {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
            }
            bytes
        },
    )
}

/// What the kernel wrote.
fn seed() -> impl Strategy<Value = Vec<u8>> {
    let seeds: Vec<Vec<u8>> = committed("cmsg_walk").into_values().collect();
    prop::sample::select(seeds)
}

/// A buffer's size, how many descriptors are taken, and messages.
fn trip() -> impl Strategy<Value = Vec<u8>> {
    let capacity = prop_oneof![0..120_u16, 0..=1100_u16, Just(1100)];
    let fds = prop_oneof![0..6_u8, any::<u8>()];
    let part = prop_oneof![
        (any::<u8>(), fds).prop_map(|(kind, count)| vec![kind | 1, count]),
        vec(any::<u8>(), 12).prop_map(|ids| [&[0], &ids[..]].concat()),
    ];
    (capacity, any::<u8>(), vec(part, 0..8)).prop_map(|(capacity, taken, parts)| {
        [&capacity.to_le_bytes()[..], &[taken], &parts.concat()].concat()
    })
}

proptest! {
    #[test]
    fn whole_messages_are_read_as_the_c_library_reads_them(bytes in mutated(buffer())) {
        planted::cmsg_walk(&bytes, false);
    }

    #[test]
    fn mutated_messages_of_the_kernel_are_read_as_the_c_library_reads_them(bytes in mutated(seed())) {
        planted::cmsg_walk(&bytes, false);
    }

    #[test]
    fn what_is_written_is_received(input in trip()) {
        planted::cmsg_round_trip(&input, false);
    }
}
