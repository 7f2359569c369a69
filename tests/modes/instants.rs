//! What a file's permissions are at each instant, seen between the system calls of who makes it.

use std::ffi::{CStr, CString};
use std::path::PathBuf;

use afunix::{Errno, Gid, Uid, UnixAddr, UnixDatagram, UnixStream};

use crate::common::kinds::Socket;
use crate::common::stepper::{is_usable, look_at_each_stop, passes_with_stops};
use crate::common::{TempDir, addr};
use crate::made::{Made, Way, owned, set_umask};
use crate::others::passes_as_root;

for_data!(
    no_instant_is_wider_and_none_but_the_last_can_be_reached
    until_it_belongs_to_another_only_the_owners_bits_are_there
    who_binds_first_and_sets_the_mode_then_is_seen_to_be_wider
);

/// What was there at one instant.
#[derive(Debug, PartialEq)]
pub struct State {
    /// Whether it has the final name.
    pub is_final: bool,
    pub owner: (u32, u32),
    pub mode: u32,
    pub reached: Result<(), Errno>,
}

/// Both names that the file may have.
struct Names([(bool, PathBuf, UnixAddr); 2]);

impl Names {
    fn new(folder: &TempDir) -> Self {
        let name = |is_final, name| (is_final, folder.join(name), folder.addr(name));
        Self([name(true, "control"), name(false, ".control.afunix")])
    }

    fn look<T: Made>(&self, states: &mut Vec<State>) {
        for (is_final, path, addr) in &self.0 {
            if path.symlink_metadata().is_err() {
                continue;
            }
            let (uid, gid, mode) = owned(path);
            let reached = T::reach(addr);
            let state = State { is_final: *is_final, owner: (uid, gid), mode, reached };
            if states.last() != Some(&state) {
                states.push(state);
            }
        }
    }
}

/// All the states in which the files of `control` in the folder are while `body` runs.
pub fn states<T: Made>(folder: &TempDir, body: impl FnOnce() -> bool) -> Vec<State> {
    let (names, mut states) = (Names::new(folder), Vec::new());
    let stops = look_at_each_stop(body, || names.look::<T>(&mut states));
    // Before at least `socket`, `bind`, one that sets the mode and `close`, and after the last.
    assert!(stops >= 5 && !states.is_empty(), "only {stops} stops");
    states
}

/// One mode of each class: none, what no umask touches, group and other, narrow owners, all.
const MODES: [u32; 8] = [0, 0o200, 0o600, 0o640, 0o660, 0o222, 0o077, 0o777];

#[track_caller]
fn check_states<T: Made>(states: &[State], wanted: u32, case: &str) {
    for state in states {
        assert_eq!(state.mode & !wanted, 0, "{case}: {states:x?}");
        // A datagram socket can be reached by its other name, with what permissions it has by then.
        let is_datagram = T::TYPE == UnixDatagram::TYPE;
        if if is_datagram { state.is_final } else { state.reached.is_ok() } {
            assert_eq!(state.mode, wanted, "{case}: {states:x?}");
        }
    }
    let last = states.last().unwrap();
    assert_eq!((last.is_final, last.mode), (true, wanted), "{case}: {states:x?}");
}

fn no_instant_is_wider_and_none_but_the_last_can_be_reached<T: Made>(test: &str) {
    passes_with_stops(test, || {
        for umask in [0, 0o022, 0o077, 0o777] {
            set_umask(0o022);
            let folder = TempDir::new();
            let path = folder.join("control");
            set_umask(umask);
            for (wanted, way) in MODES.iter().flat_map(|mode| Way::ALL.map(|way| (*mode, way))) {
                let options = way.options(&path).mode(wanted);
                let states = states::<T>(&folder, || T::make(options).is_ok());
                let case = format!("{way:?} {wanted:03o} under {umask:03o}");
                check_states::<T>(&states, wanted, &case);
                let was_hidden = states.iter().any(|state| !state.is_final);
                let widened = T::TYPE == UnixDatagram::TYPE && wanted & umask != 0;
                assert_eq!(was_hidden, way.is_hidden() || widened, "{case}: {states:x?}");
                // The parent has no copy of it: what is left behind is nobody's.
                std::fs::remove_file(&path).unwrap();
            }
        }
    });
}

fn until_it_belongs_to_another_only_the_owners_bits_are_there<T: Made>(test: &str) {
    passes_as_root(test, || {
        if !is_usable() {
            return;
        }
        let (uid, gid) = (Uid::from_raw(1234), Gid::from_raw(4321));
        for umask in [0, 0o077] {
            set_umask(0o022);
            let folder = TempDir::new();
            let path = folder.join("control");
            set_umask(umask);
            for (wanted, way) in MODES.iter().flat_map(|mode| Way::ALL.map(|way| (*mode, way))) {
                let options = way.options(&path).mode(wanted);
                for (options, owner) in [
                    (options.owner(uid), (1234, 0)),
                    (options.group(gid), (0, 4321)),
                    (options.owner(uid).group(gid), (1234, 4321)),
                ] {
                    let states = states::<T>(&folder, || T::make(options).is_ok());
                    let case = format!("{way:?} {wanted:03o} {owner:?} under {umask:03o}");
                    check_states::<T>(&states, wanted, &case);
                    for state in states.iter().filter(|state| state.owner != owner) {
                        assert_eq!(state.mode & !(wanted & 0o700), 0, "{case}: {states:x?}");
                    }
                    assert!(states[0].owner == (0, 0), "{case}: {states:x?}");
                    assert_eq!(states.last().unwrap().owner, owner, "{case}: {states:x?}");
                    std::fs::remove_file(&path).unwrap();
                }
            }
        }
    });
}

/// What the harness would see if it were done wrong.
fn who_binds_first_and_sets_the_mode_then_is_seen_to_be_wider<T: Made>(test: &str) {
    passes_with_stops(test, || {
        set_umask(0);
        let folder = TempDir::new();
        let path = folder.join("control");
        let (target, text) = (addr(&path), CString::new(path.to_str().unwrap()).unwrap());
        let states = states::<T>(&folder, || bind_then_chmod::<T>(&target, &text));
        let wider = |state: &State| state.is_final && state.mode == 0o777;
        assert!(states.iter().any(|state| wider(state) && state.reached.is_ok()), "{states:?}");
        assert_eq!(states.last().map(|state| state.mode), Some(0o600));
    });
}

fn bind_then_chmod<T: Made>(addr: &UnixAddr, path: &CStr) -> bool {
    let socket = T::serve(addr);
    // SAFETY: a C string and a number.
    socket.is_ok() && unsafe { libc::chmod(path.as_ptr(), 0o600) } == 0
}

/// What those who know the other name can do: nothing, until it is a listener's turn.
#[test]
fn a_listener_is_refused_at_the_other_name_too() {
    const TEST: &str = "instants::a_listener_is_refused_at_the_other_name_too";
    let _watchdog = crate::common::Watchdog::new();
    passes_with_stops(TEST, || {
        set_umask(0o077);
        let folder = TempDir::new();
        let path = folder.join("control");
        let options = Way::Replace.options(&path).mode(0o666);
        let states = states::<UnixStream>(&folder, || options.listener().is_ok());
        let early: Vec<_> = states.iter().filter(|state| state.mode != 0o666).collect();
        assert!(early.iter().all(|state| state.reached == Err(Errno::CONNREFUSED)), "{states:?}");
        assert!(!early.is_empty() && states.iter().any(|state| state.reached.is_ok()));
    });
}
