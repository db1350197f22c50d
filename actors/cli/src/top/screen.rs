//! The terminal: taken over while `top` runs, and given back as it was, whatever ends it (but SIGKILL).

use std::io::{self, Read, Write};

use playhouse::rt::sync::mpsc;

use super::table::View;
use crate::text::Paint;

/// What the user wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Quit,
    Sort,
    Tree,
}

/// Keys that wait to be heard.
const KEYS: usize = 16;

/// The other screen without a cursor, and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[2J";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// The lines and columns of a terminal that does not say how large it is.
const SIZE: (usize, usize) = (24, 80);

pub(super) struct Screen {
    keys: mpsc::Receiver<Key>,
    paint: Paint,
    _modes: modes::Modes,
}

impl Screen {
    pub(super) fn open() -> io::Result<Screen> {
        let modes = modes::Modes::quiet()?;
        let (tell, keys) = mpsc::channel(KEYS);
        // It ends with the process: nothing wakes a thread that waits for a key.
        std::thread::Builder::new().name("keys".into()).spawn(move || {
            for byte in io::stdin().lock().bytes() {
                let key = match byte {
                    Ok(b'q' | b'Q') => Key::Quit,
                    Ok(b's') => Key::Sort,
                    Ok(b't') => Key::Tree,
                    Ok(_) => continue,
                    Err(_) => return,
                };
                if tell.blocking_send(key).is_err() {
                    return;
                }
            }
        })?;
        // Made first, so that it is dropped if this fails.
        let screen = Screen { keys, paint: Paint::stdout(), _modes: modes };
        write(ENTER)?;
        Ok(screen)
    }

    /// The next key. Cancel-safe. Never, when the input has ended.
    pub(super) async fn key(&mut self) -> Key {
        match self.keys.recv().await {
            Some(key) => key,
            None => std::future::pending().await,
        }
    }

    pub(super) fn draw(&self, view: &View<'_>) {
        let (height, width) = modes::size().unwrap_or(SIZE);
        let mut text = String::from("\x1b[H");
        let lines = view.lines(width, Some(height), height);
        for (index, line) in lines.iter().take(height).enumerate() {
            if index > 0 {
                text.push_str("\r\n");
            }
            text.push_str(&line.painted(self.paint));
            text.push_str("\x1b[K");
        }
        text.push_str("\x1b[J");
        // A terminal that has gone away will send a signal.
        let _ = write(&text);
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = write(LEAVE);
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

#[cfg(unix)]
mod modes {
    use std::io;

    use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};

    /// Keys come at once and are not shown. Dropping it undoes that.
    pub(super) struct Modes(Option<Termios>);

    impl Modes {
        pub(super) fn quiet() -> io::Result<Modes> {
            let stdin = io::stdin();
            if !isatty(&stdin) {
                // No keys then; signals still end it.
                return Ok(Modes(None));
            }
            let former = tcgetattr(&stdin)?;
            let mut modes = former.clone();
            modes.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
            // A stopped process would leave its screen behind.
            modes.special_codes[SpecialCodeIndex::VSUSP] = 0;
            modes.special_codes[SpecialCodeIndex::VMIN] = 1;
            modes.special_codes[SpecialCodeIndex::VTIME] = 0;
            tcsetattr(&stdin, OptionalActions::Now, &modes)?;
            Ok(Modes(Some(former)))
        }
    }

    impl Drop for Modes {
        fn drop(&mut self) {
            if let Some(former) = &self.0 {
                // Keys that nobody read are not for whoever reads next.
                let _ = tcsetattr(io::stdin(), OptionalActions::Flush, former);
            }
        }
    }

    pub(super) fn size() -> Option<(usize, usize)> {
        let size = tcgetwinsize(io::stdout()).ok()?;
        (size.ws_row > 0 && size.ws_col > 0).then(|| (size.ws_row.into(), size.ws_col.into()))
    }
}

#[cfg(not(unix))]
mod modes {
    /// No keys here; Ctrl-C ends it.
    pub(super) struct Modes;

    impl Modes {
        pub(super) fn quiet() -> std::io::Result<Modes> {
            Ok(Modes)
        }
    }

    pub(super) fn size() -> Option<(usize, usize)> {
        None
    }
}
