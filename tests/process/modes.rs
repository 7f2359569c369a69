//! The mode that a socket's file is born with.

use std::os::unix::fs::PermissionsExt;

use rustix::fs::{Mode, fchmod};

use crate::common::kinds::Data;
use crate::common::{TempDir, passes_in_child};

for_data!(mode_given_before_the_bind_is_the_files_less_the_umask);

/// See "A mode given before the bind" in `kernel.md`.
fn mode_given_before_the_bind_is_the_files_less_the_umask<T: Data>(test: &str) {
    passes_in_child(test, || {
        let folder = TempDir::new();
        for (umask, given, expected) in
            [(0, 0o600, 0o600), (0o022, 0o660, 0o640), (0o077, 0o666, 0o600)]
        {
            // SAFETY: a number alone.
            unsafe { libc::umask(umask) };
            let socket = T::unbound().unwrap();
            fchmod(&socket, Mode::from_raw_mode(given)).unwrap();
            let name = format!("{umask:o}-{given:o}");
            socket.bind_to(&folder.addr(&name)).unwrap();
            let mode = folder.join(&name).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, expected, "{name}");
            // Once it is bound, that is another file's mode.
            fchmod(&socket, Mode::from_raw_mode(0o777)).unwrap();
            let mode = folder.join(&name).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, expected, "{name}");
        }
    });
}
