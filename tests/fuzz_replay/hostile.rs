//! Hostile peers. Each test counts the descriptors of its process, so it has one of its own.

use crate::common::emulated::{BAD_LENGTH, CUT, left_out_by_qemu};
use crate::planted::libc_walk::{HEADER, walk};
use crate::{Seeds, caught, check_or_write, committed, common, has_words_of_the_seeds, planted};
use crate::{below, cmsg};

/// What the first byte asks for beside the type.
const CREDENTIALS: u8 = 4;
const PIDFD: u8 = 8;
const LOSSY: u8 = 32;
const END: u8 = 64;
const INQ: u8 = 128;
/// What the second byte asks for beside the call: to take three out, the pidfd too.
const TAKE: u8 = 0x30;
const TAKE_PIDFD: u8 = 0x40;
const PEEK: u8 = 0x80;
/// Each call, and each capacity of the last one.
const CALLS: [(&str, u8); 8] = [
    ("fds-0", 0),
    ("fds-4", 2),
    ("fds-253", 3),
    ("exact-1", 5),
    ("exact-3", 6),
    ("with-24", 9),
    ("with-57", 10),
    ("with-all", 12),
];

struct Script {
    flags: u8,
    way: u8,
    sent: u8,
    room: u8,
    limit: u8,
    first: Vec<u8>,
    second: Vec<u8>,
}

impl Script {
    fn new(way: u8, fds: usize) -> Self {
        let first = rights(fds);
        Self { flags: 0, way, sent: 3, room: 16, limit: 0, first, second: Vec::new() }
    }

    fn bytes(mut self, kind: u8) -> Vec<u8> {
        let split = if self.second.is_empty() { 255 } else { self.first.len() / 4 };
        let split = u8::try_from(split).expect("a short message");
        self.first.append(&mut self.second);
        let Self { flags, way, sent, room, limit, first, .. } = self;
        [&[flags | kind, way, sent, room, limit, split][..], &first].concat()
    }
}

fn rights(fds: usize) -> Vec<u8> {
    cmsg::numbers(libc::SCM_RIGHTS, (0..6).cycle().take(fds))
}

/// Of each type each call, and each trouble.
fn scripts() -> Seeds {
    let credentials = cmsg::numbers(libc::SCM_CREDENTIALS, [42; 3]);
    let all = cmsg::messages(&[rights(3), credentials.clone()]);
    let mut seeds = Seeds::new();
    for (kind_name, kind) in [("stream", 0), ("datagram", 1), ("seqpacket", 2)] {
        let mut add = |name: &str, script: Script| {
            seeds.insert(format!("{kind_name}-{name}"), script.bytes(kind));
        };
        for (name, call) in CALLS {
            add(name, Script::new(call | TAKE, 3));
        }
        let with = |flags, first: &Vec<u8>| Script {
            flags,
            first: first.clone(),
            ..Script::new(12 | TAKE | TAKE_PIDFD, 0)
        };
        add("all", with(CREDENTIALS | PIDFD | INQ, &all));
        add("all-left", Script { way: 12, ..with(CREDENTIALS | PIDFD, &all) });
        add("all-peeked", Script { way: 12 | PEEK, ..with(CREDENTIALS, &all) });
        add("all-lost", Script { way: 7, ..with(CREDENTIALS | PIDFD, &all) });
        add("lossy", Script { way: 9 | TAKE, ..with(LOSSY, &rights(9)) });
        add("lossy-credentials", Script { way: 8, ..with(LOSSY | CREDENTIALS, &credentials) });
        add("253", Script { way: 3 | TAKE, ..with(0, &rights(253)) });
        add("two-sends", Script { second: rights(4), ..with(0, &rights(2)) });
        add("end", with(END | CREDENTIALS, &all));
        add("end-of-nothing", Script { sent: 0, room: 0, ..with(END | CREDENTIALS, &rights(0)) });
        add("no-room-for-data", Script { room: 0, ..with(CREDENTIALS, &all) });
        add("no-free-descriptor", Script { limit: 7, ..with(PIDFD, &rights(5)) });
        add("no-free-pidfd", Script { limit: 3, ..with(PIDFD, &credentials) });
        add("bad-number", with(0, &cmsg::numbers(libc::SCM_RIGHTS, [0, -1])));
        add("own-ends", with(0, &cmsg::numbers(libc::SCM_RIGHTS, [4, 5, 4, 5])));
        add("bad-header", with(0, &vec![0; 16]));
    }
    seeds
}

/// Whether a script may be played here: where qemu-user plays it, what comes must have room, and what is
/// sent must not be what it crashes over.
fn playable() -> fn(&[u8]) -> bool {
    fn is_harmless(script: &[u8]) -> bool {
        let [_, way, _, _, _, split, control @ ..] = script else { return true };
        let split = if *split == 255 { control.len() } else { usize::from(*split) * 4 };
        let (first, second) = control.split_at(split.min(control.len()));
        let mut is_sound = true;
        for control in [first, second] {
            walk(control, &mut |message| {
                is_sound &= (HEADER..=control.len() - message.at).contains(&message.len);
            });
        }
        is_sound && [3, 12, 13, 14, 15].contains(&(way % 16))
    }
    if left_out_by_qemu(CUT) && left_out_by_qemu(BAD_LENGTH) { is_harmless } else { |_| true }
}

fn same(_: &str, seed: &[u8], committed: &[u8]) -> bool {
    seed == committed
}

#[test]
fn seeds_are_what_they_are_made_of() {
    if has_words_of_the_seeds() {
        check_or_write("recv_hostile", &scripts(), same);
    }
}

#[test]
fn scripts_replay_and_find_the_planted_fault() {
    common::passes_in_child("hostile::scripts_replay_and_find_the_planted_fault", || {
        let _watchdog = common::Watchdog::new();
        let playable = playable();
        let scripts = scripts();
        let scripts: Seeds = scripts.into_iter().filter(|(_, script)| playable(script)).collect();
        let inputs = scripts.iter().map(|(name, script)| (name.as_str(), script.as_slice()));
        let (caught, count) = caught(planted::recv_hostile, inputs);
        println!("{count} scripts, the fault is found by {caught:?}");
        assert!(caught.len() > 10 && caught.len() < count);
        // The same bytes may mean something else to this machine.
        for seed in committed("recv_hostile").values().filter(|seed| playable(seed)) {
            planted::recv_hostile(seed, false);
        }
    });
}

#[test]
fn mutated_scripts_replay() {
    common::passes_in_child("hostile::mutated_scripts_replay", || {
        let _watchdog = common::Watchdog::new();
        let playable = playable();
        let (mut below, mut played) = (below(), 0);
        let scripts: Vec<Vec<u8>> = scripts().into_values().collect();
        for _ in 0..3000 {
            let mut script = scripts[below(scripts.len())].clone();
            for _ in 0..below(4) {
                let at = [below(6), below(script.len().min(40))][below(2)];
                script[at] = u8::try_from(below(256)).expect("a byte");
            }
            if playable(&script) {
                planted::recv_hostile(&script, false);
                played += 1;
            }
        }
        assert!(played > 300, "{played}");
    });
}
