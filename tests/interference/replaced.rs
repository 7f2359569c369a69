//! The file, or the folder, is replaced between any two steps of an operation.

use afunix::{Errno, SocketFile, SocketFileError};

use crate::acts::{ACTS, Act, Acted};
use crate::common::Watchdog;
use crate::common::notify::Call;
use crate::common::stepper::{Go, Stop, passes_with_stops};
use crate::operations::{Before, Operation, Told, run};
use crate::refused::old;
use crate::world::{NAME, Node, TEMPORARY, World, entries, is_socket, node};

test_each_operation!("replaced::", each_act_at_each_stop);

/// What both did.
struct Round {
    world: World,
    before: Before,
    acted: Acted,
    told: Told,
    /// The call after which somebody else acted.
    last: Option<Call>,
}

fn each_act_at_each_stop(operation: Operation) {
    // SAFETY: a number alone.
    unsafe { libc::umask(0o077) };
    let mut stops = Vec::new();
    for act in ACTS {
        let _watchdog = Watchdog::new();
        let mut count = 0;
        while let Some(round) = interfere(operation, act, count, |_, _| None) {
            round.check(operation, &format!("{operation:?}, {act:?} at stop {count}"));
            count += 1;
        }
        stops.push(count);
    }
    println!("{operation:?}: {stops:?} stops");
    assert!(stops.iter().all(|count| *count >= 9), "{stops:?}");
}

/// The folder that was looked at goes elsewhere with a server in it, and in a new one the name is free: what is
/// bound there is not taken for that server's file, which would be given other permissions and removed.
#[test]
fn server_of_a_folder_that_moved_is_not_taken_for_its_own() {
    let test = "replaced::server_of_a_folder_that_moved_is_not_taken_for_its_own";
    passes_with_stops(test, || {
        use std::os::unix::fs::PermissionsExt;
        let _watchdog = Watchdog::new();
        // SAFETY: a number alone.
        unsafe { libc::umask(0o077) };
        let mode = |world: &World| {
            world.moved().join(NAME).metadata().unwrap().permissions().mode() & 0o7777
        };
        let (mut moved, mut at) = (0, 0);
        loop {
            let world = World::new();
            let (server, server_node) = world.live();
            let (mut acted, mut count) = (None, 0);
            let told = run(Operation::Plain, &world, false, |_, _| {
                if count == at {
                    acted = Some(Acted::new(Act::FolderMoved, &world));
                }
                count += 1;
                Go::On
            });
            if acted.is_none() {
                break;
            }
            let what = format!("at stop {at}: {told:?}, left {:?}", world.entries());
            match told.answer {
                Err(SocketFileError::Moved) => moved += 1,
                // Before the folder was opened.
                Ok(true) => assert_eq!(told.node, node(&world.path()), "{what}"),
                answer => assert_eq!(answer, Err(SocketFileError::InUse), "{what}"),
            }
            let before = Before { server: Some(server), node: Some(server_node) };
            assert!(before.is_served(&world.moved().join(NAME)), "{what}");
            assert_eq!(mode(&world), 0o700, "{what}");
            at += 1;
        }
        assert!(moved >= 1, "in {at} stops");
    });
}

/// Where files cannot be exchanged, nor renamed to a name only if it is free, a link publishes no less.
#[test]
fn what_is_published_by_a_link_takes_no_name_from_another() {
    let test = "replaced::what_is_published_by_a_link_takes_no_name_from_another";
    passes_with_stops(test, || {
        // SAFETY: a number alone.
        unsafe { libc::umask(0o077) };
        for (operation, act) in [Operation::PublishReady, Operation::Datagram]
            .into_iter()
            .flat_map(|operation| ACTS.map(|act| (operation, act)))
        {
            let _watchdog = Watchdog::new();
            let rounds =
                (0..).map_while(|at| interfere(operation, act, at, old(Errno::INVAL, true)));
            let mut count = 0;
            for round in rounds {
                round.check(operation, &format!("{operation:?}, {act:?} at stop {count}"));
                count += 1;
            }
            assert!(count >= 9, "{count}");
        }
    });
}

/// Has a process do it, and somebody else that act before its call of this number, or after the last; some
/// calls are refused. `None` if it has fewer.
fn interfere(
    operation: Operation,
    act: Act,
    at: usize,
    may: impl Fn(usize, &Call) -> Option<Errno>,
) -> Option<Round> {
    let world = World::new();
    let before = operation.before(&world);
    let (mut acted, mut last, mut count) = (None, None, 0);
    let told = run(operation, &world, false, |_, stop| {
        if count == at {
            acted = Some(Acted::new(act, &world));
        }
        count += 1;
        let Stop::Before(number, call) = stop else { return Go::On };
        if acted.is_none() {
            last = Some(call);
        }
        may(number, &call).map_or(Go::On, Go::Refuse)
    });
    acted.map(|acted| Round { world, before, acted, told, last })
}

impl Round {
    fn check(&self, operation: Operation, what: &str) {
        let left = (self.world.entries(), entries(&self.world.moved()));
        let what = &format!("{what} after {:?}: {:?}, left {left:?}", self.last, self.told);
        let foreign = self.acted.foreign.as_ref().map(|foreign| foreign.node);
        let made = self.told.node;
        if !self.was_replaced(operation) {
            assert!(self.acted.is_intact(&self.world), "{what}");
        }
        for folder in [self.world.folder(), self.world.moved()] {
            let left = node(&folder.join(TEMPORARY));
            let may_be = self.told.answer == Err(SocketFileError::Moved)
                || operation == Operation::RemoveBeside;
            assert!(left.is_none() || may_be, "{what}");
            assert!(left.is_none() || is_socket(&folder.join(TEMPORARY)), "{what}");
            assert!(left.is_none() || left != foreign, "{what}");
        }
        match self.told.answer {
            Ok(true) if operation.removes() => assert!(!self.has(made), "{what}"),
            Ok(false) => assert_eq!(self.acted.displaced, made, "{what}"),
            // Of two sockets that come to the name between the bind and the first look at it nothing
            // tells which is which.
            Ok(true) if foreign == made => {
                assert!(self.last.is_some_and(|call| call.is(libc::SYS_bind)), "{what}");
                assert_eq!(self.acted.act, Act::Server, "{what}");
            }
            Ok(true) => assert!(self.has(made) || self.acted.displaced == made, "{what}"),
            Err(error) => self.check_failed(error, what),
        }
        self.check_next_start(what);
    }

    /// Whether a server was put at the name in time to be replaced, as it may be.
    fn was_replaced(&self, operation: Operation) -> bool {
        operation.replaces()
            && self.told.answer == Ok(true)
            && matches!(self.acted.act, Act::Server | Act::FolderTaken)
            && node(&self.world.path()) == self.told.node
    }

    /// Whether this has the name, in the folder or where that was moved.
    fn has(&self, file: Option<Node>) -> bool {
        let folders = [self.world.folder(), self.world.moved()];
        folders.iter().any(|folder| node(&folder.join(NAME)) == file)
    }

    /// It says what is the matter, and has left nothing of its own.
    fn check_failed(&self, error: SocketFileError, what: &str) {
        use SocketFileError::{InUse, Moved, NotASocket};
        let act = self.acted.act;
        assert!(
            match error {
                Moved => true,
                InUse => matches!(act, Act::Server | Act::FolderTaken),
                NotASocket { .. } => act.is_file() || act == Act::Link,
                _ => false,
            },
            "{what}"
        );
        for folder in [self.world.folder(), self.world.moved()] {
            let found = node(&folder.join(NAME));
            let foreign = self.acted.foreign.as_ref().map(|foreign| foreign.node);
            let is_known = found.is_none() || found == foreign || found == self.before.node;
            // Bound where the path leads, and not where the folder is that was looked at.
            assert!(is_known || (error == Moved && act.moves_the_folder()), "{what}");
        }
        if self.before.server.is_some() && self.acted.displaced.is_none() {
            let paths = [self.world.path(), self.world.moved().join(NAME)];
            assert!(paths.iter().any(|path| self.before.is_served(path)), "{what}");
        }
    }

    /// Who comes next finds nothing in the way but what others have.
    fn check_next_start(&self, what: &str) {
        use std::os::unix::ffi::OsStrExt;
        for folder in [self.world.folder(), self.world.moved()] {
            if !folder.exists() {
                continue;
            }
            let path = folder.join(NAME);
            let found = node(&path);
            let is_served = std::os::unix::net::UnixStream::connect(&path).is_ok();
            let options = SocketFile::options(path.as_os_str().as_bytes()).reclaim();
            let next = options.listener().map(drop);
            match next {
                Ok(()) => assert!(found.is_none() || (is_socket(&path) && !is_served), "{what}"),
                Err(SocketFileError::InUse) => assert!(is_served, "{what}"),
                Err(SocketFileError::NotASocket { .. }) => {
                    assert!(found.is_some() && !is_socket(&path), "{what}");
                }
                Err(error) => panic!("{what}: the next start: {error:?}"),
            }
            assert!(next.is_ok() || node(&path) == found, "{what}");
            assert_eq!(node(&folder.join(TEMPORARY)), None, "{what}");
        }
    }
}
