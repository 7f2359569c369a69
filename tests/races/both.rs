//! Two starts of which one goes on where the other is stopped.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use afunix::SocketFile;

use crate::common::TempDir;
use crate::common::process::End;
use crate::common::stepper::{Stepped, passes_with_stops};
use crate::pipe::PATIENCE;
use crate::server::{KINDS, Kind, Refusal, Server, names, reaches};

const NAME: &str = "control";

/// Stops a plain start after so many stops and has another one take the name over from it, or as soon as
/// the first is done if it is locked out until then. What the first does then to a file of that name is
/// done to the second one's. `None` if there are no so many stops.
fn replaced_while_it_starts(kind: Kind, stops: usize) -> Option<Result<(), String>> {
    let folder = TempDir::new();
    let path = folder.join(NAME);
    let bytes = path.as_os_str().as_bytes();
    let options = SocketFile::options(bytes);
    let mut first = Stepped::start(
        || options.lock_wait(PATIENCE).mode(0o622),
        |options| Server::make(options, kind),
        |server| u8::from(server.is_ok_and(|server| server.file.unwrap().remove() == Ok(true))),
    );
    first.step_over(stops)?;
    let take = |lock_wait| Server::make(options.replace().mode(0o600).lock_wait(lock_wait), kind);
    let at_once = take(Duration::ZERO);
    first.finish_operation();
    let second = match at_once {
        Err(Refusal::Locked) => take(PATIENCE),
        other => other,
    };
    let Ok(second) = second else {
        return Some(Err("the name was not taken over".into()));
    };
    if first.finish() != End::Code(0) {
        return Some(Err("the first has removed the file of the second".into()));
    }
    if names(folder.path()) != [NAME] {
        return Some(Err(format!("there are {:?}", names(folder.path()))));
    }
    let mode = path.metadata().unwrap().permissions().mode() & 0o7777;
    if mode != 0o600 {
        return Some(Err(format!("the first has given the file of the second {mode:o}")));
    }
    Some(reaches(bytes, &second))
}

#[test]
fn file_of_who_replaces_is_not_taken_for_its_own_by_who_is_replaced() {
    passes_with_stops(
        "both::file_of_who_replaces_is_not_taken_for_its_own_by_who_is_replaced",
        || {
            // SAFETY: a number alone.
            unsafe { libc::umask(0o022) };
            for kind in KINDS {
                let all: Vec<_> =
                    (0..).map_while(|stops| replaced_while_it_starts(kind, stops)).collect();
                assert!(all.len() > 20, "only {} stops", all.len());
                let wrong: Vec<_> =
                    all.iter().enumerate().filter(|(_, all)| all.is_err()).collect();
                assert!(wrong.is_empty(), "{kind:?}: {wrong:#?}");
            }
        },
    );
}
