//! Each system call of an operation fails.

use std::os::unix::ffi::OsStrExt;

use afunix::{Errno, SocketFile, SocketFileError, Step};

use crate::common::Watchdog;
use crate::common::notify::Call;
use crate::common::stepper::{Go, Stop, passes_with_stops};
use crate::operations::{Before, OPERATIONS, Operation, Told, run};
use crate::world::{NAME, Node, TEMPORARY, World, is_socket, node};

test_each_operation!("refused::", each_call_refused);

/// Has 452 on every architecture that there is a test for.
const FCHMODAT2: libc::c_long = 452;

/// What an operation did while calls were refused.
struct Refused {
    world: World,
    before: Before,
    told: Told,
    /// What was in the folder at first, and when the operation was done.
    entries: [Vec<(String, Node)>; 2],
    /// The number of its descriptors, likewise.
    open: [usize; 2],
    /// Whether what had the name before still did, when it was done.
    is_served: bool,
}

fn refuse(
    operation: Operation,
    may: impl Fn(usize, &Call) -> Option<Errno>,
) -> (Refused, Vec<Call>) {
    let world = World::new();
    let before = operation.before(&world);
    let (mut calls, mut entries, mut open) = (Vec::new(), [Vec::new(), Vec::new()], [0; 2]);
    let mut is_served = true;
    let told = run(operation, &world, true, |pid, stop| {
        let opened = || std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
        match stop {
            Stop::Before(number, call) => {
                if number == 0 {
                    (entries[0], open[0]) = (world.entries(), opened());
                }
                calls.push(call);
                if let Some(errno) = may(number, &call) {
                    return Go::Refuse(errno);
                }
            }
            Stop::Done => {
                (entries[1], open[1]) = (world.entries(), opened());
                is_served = before.is_served(&world.path());
            }
        }
        Go::On
    });
    (Refused { world, before, told, entries, open, is_served }, calls)
}

/// With what this call can be refused, if at all.
fn errors(call: &Call) -> &'static [Errno] {
    let is = |numbers: &[libc::c_long]| numbers.iter().any(|number| call.is(*number));
    if is(&[libc::SYS_openat, libc::SYS_socket]) {
        &[Errno::MFILE, Errno::NFILE]
    } else if is(&[libc::SYS_flock]) {
        &[Errno::INTR, Errno::NOLCK]
    } else if is(&[libc::SYS_renameat2]) {
        &[Errno::IO, Errno::NOSPC, Errno::PERM, Errno::NOSYS, Errno::INVAL]
    } else if is(&[libc::SYS_bind, libc::SYS_unlinkat, libc::SYS_linkat]) {
        &[Errno::IO, Errno::NOSPC, Errno::PERM]
    } else if is(&[libc::SYS_close, libc::SYS_geteuid]) {
        // The one closes whatever it answers, the other cannot fail.
        &[]
    } else {
        &[Errno::IO, Errno::NOSYS]
    }
}

fn each_call_refused(operation: Operation) {
    let _watchdog = Watchdog::new();
    // SAFETY: a number alone.
    unsafe { libc::umask(0o077) };
    // What is found out once is known in each copy then.
    let (first, _) = refuse(operation, |_, _| None);
    let path = first.world.aside("first").as_os_str().as_bytes().to_vec();
    let (_listener, file) = SocketFile::options(&path).replace().listener().unwrap();
    assert_eq!(file.remove(), Ok(true));

    let (usual, calls) = refuse(operation, |_, _| None);
    assert_eq!(usual.told.answer, Ok(true), "{operation:?}");
    let mut failed = 0;
    for (at, call) in calls.iter().enumerate() {
        for errno in errors(call) {
            let what = format!("{operation:?}, {at}: {call:?} is {errno:?}");
            let (refused, now) = refuse(operation, |number, _| (number == at).then_some(*errno));
            assert_eq!(now[at].number, call.number, "{what}");
            let what = format!("{what}: {:?} {:?}", refused.told, refused.entries);
            match refused.told.answer {
                Ok(was_done) => {
                    assert!(was_done && may_fail(operation, call), "{what}");
                    refused.check_done(operation, &what);
                    assert_eq!(refused.opened(), usual.opened(), "{what}");
                }
                Err(error) => {
                    failed += 1;
                    assert!(!call.is(FCHMODAT2), "{what}");
                    let is_alive = error == SocketFileError::InUse && call.is(libc::SYS_connect);
                    assert!(error.errno() == *errno || is_alive, "{what}");
                    refused.check_undone(operation, &what);
                }
            }
        }
        nothing_can_be_taken_back(operation, at, &format!("{operation:?}, {at}: {call:?}"));
    }
    assert!(failed >= 10, "only {failed} failed");
}

/// Whether it can be done without that call.
fn may_fail(operation: Operation, call: &Call) -> bool {
    use libc::*;
    // Nor need it be told whether that is alive.
    let probes = operation == Operation::RemoveBeside && call.is(SYS_socket);
    let never = [SYS_socket, SYS_fchmod, SYS_bind, SYS_fchownat, SYS_listen, SYS_linkat];
    let is_lock = call.is(SYS_flock) && call.args[1] != u64::from(LOCK_UN.unsigned_abs());
    // What it clears away first need not be cleared; and the umask need not be known.
    let more = matches!(operation, Operation::RemoveBeside | Operation::Datagram);
    let locks = !matches!(operation, Operation::Plain | Operation::At);
    !(is_lock && locks)
        && (probes || never.iter().all(|number| !call.is(*number)))
        && (more || (!call.is(SYS_openat) && !call.is(SYS_unlinkat)))
}

impl Refused {
    /// How many descriptors it keeps open.
    fn opened(&self) -> usize {
        self.open[1] - self.open[0]
    }

    fn check_done(&self, operation: Operation, what: &str) {
        let entries: Vec<_> = self.entries[1].iter().filter(|(name, _)| name == NAME).collect();
        if operation.removes() {
            assert!(entries.is_empty(), "{what}");
        } else {
            assert_eq!(entries.first().map(|(_, node)| *node), self.told.node, "{what}");
        }
        let is_clean = entries.len() == self.entries[1].len();
        assert!(is_clean || operation == Operation::RemoveBeside, "{what}");
    }

    /// There is nothing that there was not before; what lived lives; and it can be done now.
    fn check_undone(&self, operation: Operation, what: &str) {
        let [before, after] = &self.entries;
        assert!(after.iter().all(|entry| before.contains(entry)), "{what}");
        let gone = before.iter().find(|entry| !after.contains(entry));
        let may_go = match operation {
            Operation::Reclaim | Operation::ReclaimReady => NAME,
            Operation::RemoveBeside => TEMPORARY,
            _ => "",
        };
        assert!(gone.is_none_or(|(name, _)| name == may_go), "{what}");
        assert!(self.is_served || self.before.server.is_none(), "{what}");
        assert_eq!(self.open[0], self.open[1], "{what}: descriptors");
        assert_eq!(self.told.again, Some(Ok(true)), "{what}");
    }
}

/// From that call on nothing can be moved or removed. What is left there then belongs to nobody once the
/// process has ended, and is no obstacle.
fn nothing_can_be_taken_back(operation: Operation, at: usize, what: &str) {
    let removes = [libc::SYS_unlinkat, libc::SYS_renameat2];
    let world = World::new();
    let before = operation.before(&world);
    let told = run(operation, &world, false, |_, stop| match stop {
        Stop::Before(number, call)
            if number == at || (number > at && removes.iter().any(|remove| call.is(*remove))) =>
        {
            match call.is(libc::SYS_close) || call.is(libc::SYS_geteuid) {
                true => Go::On,
                false => Go::Refuse(Errno::IO),
            }
        }
        _ => Go::On,
    });
    let what = format!("{what}: {:?} {:?}", told, world.entries());
    for (name, _) in world.entries() {
        assert!(name == NAME || name == TEMPORARY, "{what}");
        assert!(is_socket(&world.folder().join(name)), "{what}");
    }
    let path = world.bytes();
    let options = SocketFile::options(&path);
    let left = [world.path(), world.folder().join(TEMPORARY)];
    // A server that has only the other name left gets its own back.
    if before.server.is_some() && left.iter().any(|path| before.node == node(path)) {
        assert_eq!(options.reclaim().listener().unwrap_err(), SocketFileError::InUse, "{what}");
        assert_eq!(before.node, node(&world.path()), "{what}");
        assert!(before.is_served(&world.path()), "{what}");
    } else {
        let (_listener, file) = options.reclaim().listener().expect(&what);
        assert_eq!(file.is_in_place(), Ok(true), "{what}");
        assert_eq!(world.entries().len(), 1, "{what}");
    }
}

/// Refuses the calls that rename with a flag, and if asked to, to link. A kernel that has no such call has
/// it without a flag neither.
pub fn old(errno: Errno, links: bool) -> impl Fn(usize, &Call) -> Option<Errno> {
    // RISC-V has no other call.
    let none = errno == Errno::NOSYS && !cfg!(target_arch = "riscv64");
    move |_, call| {
        if call.is(libc::SYS_renameat2) && (none || call.args[4] != 0) {
            Some(errno)
        } else if call.is(libc::SYS_linkat) && !links {
            Some(Errno::PERM)
        } else {
            None
        }
    }
}

#[test]
fn where_files_cannot_be_exchanged_all_is_done_otherwise() {
    passes_with_stops("refused::where_files_cannot_be_exchanged_all_is_done_otherwise", || {
        let _watchdog = Watchdog::new();
        // SAFETY: a number alone.
        unsafe { libc::umask(0o077) };
        let mut linked = 0;
        for operation in OPERATIONS {
            for errno in [Errno::INVAL, Errno::NOSYS] {
                let what = format!("{operation:?}, {errno:?}");
                let (refused, calls) = refuse(operation, old(errno, true));
                assert_eq!(refused.told.answer, Ok(true), "{what}");
                refused.check_done(operation, &what);
                let links = calls.iter().any(|call| call.is(libc::SYS_linkat));
                linked += u32::from(links);

                let (refused, _) = refuse(operation, old(errno, false));
                let what = format!("{what}: {:?}", refused.told);
                match refused.told.answer {
                    Err(SocketFileError::Kernel {
                        step: Step::Publish,
                        errno: Errno::PERM,
                        ..
                    }) => {
                        assert!(links, "{what}");
                        refused.check_undone(operation, &what);
                    }
                    answer => assert!(!links && answer == Ok(true), "{what}"),
                }
                let is_left = refused.world.entries().iter().any(|(name, _)| name == TEMPORARY);
                assert_eq!(is_left, operation == Operation::RemoveBeside, "{what}");
            }
        }
        // Of a stale name that is reclaimed for one that is ready, too.
        assert_eq!(linked, 8, "publish_ready, a datagram socket, and replace where nothing is");
    });
}
