//! What the same interference does to who looks first and acts then: the control of `replaced`.

use std::fs;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use crate::acts::{Act, Acted};
use crate::common::Watchdog;
use crate::common::stepper::{Go, passes_with_stops, step};
use crate::world::{NAME, TEMPORARY, World, is_socket, node};

/// Removes the file if it still is that one.
fn remove(path: &Path) {
    let own = node(path);
    if node(path) == own && own.is_some() {
        let _ = fs::remove_file(path);
    }
}

/// Binds beside, looks what has the name, and renames over it.
fn replace(path: &Path) {
    let beside = path.with_file_name(TEMPORARY);
    let listener = UnixListener::bind(&beside).unwrap();
    if !path.exists() || is_socket(path) {
        let _ = fs::rename(&beside, path);
    }
    std::mem::forget(listener);
}

/// Removes what refuses a connection, and binds.
fn reclaim(path: &Path) {
    if UnixStream::connect(path).is_err() {
        let _ = fs::remove_file(path);
        std::mem::forget(UnixListener::bind(path));
    }
}

#[test]
fn who_looks_and_then_acts_destroys_what_others_put_there() {
    passes_with_stops("naive::who_looks_and_then_acts_destroys_what_others_put_there", || {
        let _watchdog = Watchdog::new();
        for naive in [remove, replace, reclaim] {
            for act in [Act::FileOver, Act::FileAnew, Act::Server, Act::Link] {
                let destroyed: Vec<_> = (0..).map_while(|at| is_lost(naive, act, at)).collect();
                let count = destroyed.iter().filter(|is_lost| **is_lost).count();
                assert!(count >= 1, "{act:?}: {destroyed:?}");
                assert!(count < destroyed.len(), "{act:?}: {destroyed:?}");
            }
        }
    });
}

/// Whether what was put there before the call of this number, or after the last, was destroyed.
fn is_lost(naive: fn(&Path), act: Act, at: usize) -> Option<bool> {
    let world = World::new();
    world.stale();
    let path = world.folder().join(NAME);
    let (mut acted, mut count) = (None, 0);
    step(
        || (),
        |()| naive(&path),
        |()| (),
        |_, _| {
            if count == at {
                acted = Some(Acted::new(act, &world));
            }
            count += 1;
            Go::On
        },
    );
    acted.map(|acted| !acted.foreign.as_ref().is_some_and(|foreign| foreign.is_there()))
}
