//! Two misfortunes in one operation: somebody else's file comes to the name, and a call is refused, or
//! another file comes.

use std::fs;
use std::os::unix::net::UnixListener;

use afunix::{Errno, SocketFile, SocketFileError, Step};

use crate::acts::{ACTS, Act, Acted};
use crate::common::Watchdog;
use crate::common::notify::Call;
use crate::common::stepper::{Go, Stop, passes_with_stops};
use crate::operations::{Before, Operation, run};
use crate::refused::old;
use crate::world::{Held, TEMPORARY, World, node};

/// Another file has come to the name before the exchange, and cannot be put back: it is left where it is, and
/// the next start gives it its name again.
#[test]
fn what_cannot_be_put_back_is_left_at_the_other_name() {
    let test = "put_back::what_cannot_be_put_back_is_left_at_the_other_name";
    passes_with_stops(test, || {
        let _watchdog = Watchdog::new();
        for act in [Act::FileOver, Act::FileAnew, Act::Link] {
            let world = World::new();
            let before = Operation::ReplaceServer.before(&world);
            let mut acted = None;
            let told = run(Operation::ReplaceServer, &world, false, |_, stop| match stop {
                Stop::Before(_, call) if call.is(libc::SYS_renameat2) => {
                    if acted.is_some() {
                        return Go::Refuse(Errno::IO);
                    }
                    acted = Some(Acted::new(act, &world));
                    Go::On
                }
                _ => Go::On,
            });
            drop(before);
            let what = format!("{act:?}: {told:?}, left {:?}", world.entries());
            assert!(matches!(told.answer, Err(SocketFileError::NotASocket { .. })), "{what}");
            let (acted, path) = (acted.expect("an exchange"), world.bytes());
            let foreign = acted.foreign.as_ref().map(|foreign| foreign.node);
            assert_eq!(node(&world.folder().join(TEMPORARY)), foreign, "{what}");
            let next = SocketFile::options(&path).listener().map(drop);
            assert!(matches!(next, Err(SocketFileError::NotASocket { .. })), "{what}, {next:?}");
            assert!(acted.is_intact(&world) && world.entries().len() == 1, "{what}");
        }
    });
}

/// The link was made, the other name cannot be removed, and meanwhile somebody else has put a server at
/// the name: it is not taken back from that one.
#[test]
fn link_that_is_taken_back_is_not_taken_from_another() {
    let test = "put_back::link_that_is_taken_back_is_not_taken_from_another";
    passes_with_stops(test, || {
        let _watchdog = Watchdog::new();
        let is_old = old(Errno::INVAL, true);
        let acts = ACTS.into_iter().filter(|act| !act.moves_the_folder()).map(Some);
        // Where nobody comes it is taken back.
        for act in acts.chain([None]) {
            let world = World::new();
            let (mut is_linked, mut is_refused, mut acted) = (false, false, None);
            let told = run(Operation::PublishReady, &world, false, |_, stop| {
                let Stop::Before(number, call) = stop else { return Go::On };
                let is_unlink = call.is(libc::SYS_unlinkat);
                if is_linked && is_unlink && !is_refused {
                    is_refused = true;
                    acted = act.map(|act| Acted::new(act, &world));
                    return Go::Refuse(Errno::IO);
                }
                is_linked |= call.is(libc::SYS_linkat);
                is_old(number, &call).map_or(Go::On, Go::Refuse)
            });
            let is_told = matches!(
                told.answer,
                Err(SocketFileError::Kernel { step: Step::Remove, errno: Errno::IO, .. })
            );
            assert!(is_told, "{act:?}: {told:?}");
            assert!(acted.as_ref().is_none_or(|acted| acted.is_intact(&world)), "{act:?}");
            let foreign = acted.and_then(|acted| acted.foreign).map(|foreign| foreign.node);
            let left: Vec<_> = world.entries().into_iter().map(|(_, node)| node).collect();
            assert_eq!(left, Vec::from_iter(foreign), "{act:?}");
        }
    });
}

/// A call that renames to a free name alone, or exchanges.
fn is_flagged_rename(call: &Call) -> bool {
    call.is(libc::SYS_renameat2) && call.args[4] != 0
}

/// Where files cannot be moved aside, what has the name is looked at after that was found out.
#[test]
fn what_cannot_be_moved_aside_is_looked_at_again() {
    let test = "put_back::what_cannot_be_moved_aside_is_looked_at_again";
    passes_with_stops(test, || {
        let _watchdog = Watchdog::new();
        for operation in [Operation::Reclaim, Operation::ReclaimReady, Operation::Remove] {
            for act in [Act::FileOver, Act::FileAnew, Act::Link, Act::Server] {
                let world = World::new();
                let _before = operation.before(&world);
                let mut acted = None;
                let told = run(operation, &world, false, |_, stop| match stop {
                    Stop::Before(_, call) if is_flagged_rename(&call) => {
                        acted.get_or_insert_with(|| Acted::new(act, &world));
                        Go::Refuse(Errno::INVAL)
                    }
                    _ => Go::On,
                });
                let what = format!("{operation:?}, {act:?}: {told:?}, left {:?}", world.entries());
                let is_told = match told.answer {
                    Ok(was) => operation.removes() && !was,
                    Err(SocketFileError::InUse) => act == Act::Server,
                    Err(error) => matches!(error, SocketFileError::NotASocket { .. }),
                };
                assert!(is_told, "{what}");
                assert!(acted.expect("a rename").is_intact(&world), "{what}");
                assert_eq!(world.entries().len(), 1, "{what}");
            }
        }
    });
}

/// A server comes to the name before the file is moved aside, so that it is moved instead; and another one
/// before it is put back. Neither is removed: the name is the other's, the first keeps the one that it has.
#[test]
fn what_was_moved_by_mistake_is_not_put_over_another() {
    let test = "put_back::what_was_moved_by_mistake_is_not_put_over_another";
    passes_with_stops(test, || {
        let _watchdog = Watchdog::new();
        for operation in [Operation::Remove, Operation::Reclaim] {
            let world = World::new();
            let _before = operation.before(&world);
            let (mut first, mut second) = (None, None);
            let told = run(operation, &world, false, |_, stop| {
                let Stop::Before(_, call) = stop else { return Go::On };
                match (is_flagged_rename(&call), &first, &second) {
                    (true, None, _) => first = Some(Acted::new(Act::Server, &world)),
                    (true, Some(_), None) => {
                        let server = UnixListener::bind(world.path()).unwrap();
                        second = Some((server, Held::new(&world.path())));
                    }
                    _ => {}
                }
                Go::On
            });
            let what = format!("{operation:?}: {told:?}, left {:?}", world.entries());
            let expected =
                if operation.removes() { Ok(false) } else { Err(SocketFileError::InUse) };
            assert_eq!(told.answer, expected, "{what}");
            let first = first.expect("a rename");
            let foreign = first.foreign.as_ref().map(|foreign| foreign.node);
            let (_server, second) = second.expect("a second rename");
            assert_eq!(node(&world.path()), Some(second.node), "{what}");
            assert_eq!(node(&world.folder().join(TEMPORARY)), foreign, "{what}");
            // It gets its name back from the next start, once that is free.
            fs::remove_file(world.path()).unwrap();
            let next = SocketFile::options(&world.bytes()).listener().map(drop);
            assert_eq!(next, Err(SocketFileError::InUse), "{what}");
            let found: Vec<_> = world.entries().into_iter().map(|(_, node)| node).collect();
            assert_eq!(found, Vec::from_iter(foreign), "{what}");
            assert!(first.is_intact(&world), "{what}");
        }
    });
}

/// A server was being replaced when its successor was killed. The next start gives it its name back, at which
/// there is somebody else's file by then: that is left where it came to be.
#[test]
fn what_comes_when_a_name_is_given_back_is_not_removed() {
    let test = "put_back::what_comes_when_a_name_is_given_back_is_not_removed";
    passes_with_stops(test, || {
        let _watchdog = Watchdog::new();
        for act in [Act::FileOver, Act::FileAnew, Act::Link] {
            let world = World::new();
            let (server, own) = world.live();
            fs::rename(world.path(), world.folder().join(TEMPORARY)).unwrap();
            world.stale();
            let mut acted = None;
            let told = run(Operation::Plain, &world, false, |_, stop| match stop {
                Stop::Before(_, call) if is_flagged_rename(&call) => {
                    acted.get_or_insert_with(|| Acted::new(act, &world));
                    Go::On
                }
                _ => Go::On,
            });
            let what = format!("{act:?}: {told:?}, left {:?}", world.entries());
            assert_eq!(told.answer, Err(SocketFileError::InUse), "{what}");
            let before = Before { server: Some(server), node: Some(own) };
            assert!(before.is_served(&world.path()), "{what}");
            let foreign = acted.expect("a rename").foreign.map(|foreign| foreign.node);
            assert_eq!(node(&world.folder().join(TEMPORARY)), foreign, "{what}");
        }
    });
}

/// While it is asked whether a server is alive, a socket that nobody has stands at its name, and only then: it
/// is the file that was opened that is asked.
#[test]
fn who_is_asked_is_whose_file_was_opened() {
    let test = "put_back::who_is_asked_is_whose_file_was_opened";
    passes_with_stops(test, || {
        let _watchdog = Watchdog::new();
        for operation in [Operation::Reclaim, Operation::ReclaimReady] {
            let world = World::new();
            let (server, own) = world.live();
            let (path, aside) = (world.path(), world.aside("server"));
            let mut asked = 0;
            let mut is_aside = false;
            let told = run(operation, &world, false, |_, stop| {
                if is_aside {
                    fs::rename(&aside, &path).unwrap();
                    is_aside = false;
                }
                if matches!(stop, Stop::Before(_, call) if call.is(libc::SYS_connect)) {
                    fs::rename(&path, &aside).unwrap();
                    world.stale();
                    (asked, is_aside) = (asked + 1, true);
                }
                Go::On
            });
            let what = format!("{operation:?}: {told:?}, left {:?}", world.entries());
            assert_eq!((told.answer, asked), (Err(SocketFileError::InUse), 1), "{what}");
            let before = Before { server: Some(server), node: Some(own) };
            assert!(before.is_served(&path) && world.entries().len() == 1, "{what}");
        }
    });
}
