//! The terminal, while lines are drawn on it again and again.

use std::io::{self, BufReader, IsTerminal as _, Read as _, Write};
use std::os::fd::AsFd as _;
use std::thread;

use nix::sys::termios::{self, LocalFlags, SetArg, Termios};
use terminal_size::{Height, Width, terminal_size_of};
use tokio::sync::mpsc;

/// The alternate screen, without a cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// The first place of the screen; the rest of a line; the rest of the screen.
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// The terminal of this process, as it was before once this is dropped.
pub(super) struct Screen<W: Write> {
    out: W,
    /// How its input was.
    input: Option<Termios>,
}

impl<W: Write> Screen<W> {
    /// Takes the terminal that `out` leads to: a screen of its own, and keys that are not shown.
    pub(super) fn take(out: W) -> io::Result<Self> {
        let stdin = io::stdin();
        let input = termios::tcgetattr(stdin.as_fd()).ok();
        if let Some(input) = &input {
            let mut quiet = input.clone();
            // ctrl-C stays a signal.
            quiet
                .local_flags
                .remove(LocalFlags::ICANON | LocalFlags::ECHO);
            // A terminal that refuses shows what is typed, which harms nothing.
            let _ = termios::tcsetattr(stdin.as_fd(), SetArg::TCSANOW, &quiet);
        }
        let mut screen = Self { out, input };
        screen.out.write_all(ENTER.as_bytes())?;
        screen.out.flush()?;
        Ok(screen)
    }

    /// Draws these lines, and nothing else.
    pub(super) fn draw(&mut self, lines: &[String]) -> io::Result<()> {
        let lines: Vec<_> = lines
            .iter()
            .map(|line| format!("{line}{CLEAR_LINE}"))
            .collect();
        // In one piece, so that nothing is seen half drawn.
        let text = format!("{HOME}{}{CLEAR_BELOW}", lines.join("\r\n"));
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

impl<W: Write> Drop for Screen<W> {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that is gone.
        let _ = self.out.write_all(LEAVE.as_bytes());
        let _ = self.out.flush();
        if let Some(input) = &self.input {
            let _ = termios::tcsetattr(io::stdin().as_fd(), SetArg::TCSANOW, input);
        }
    }
}

/// Columns and lines of the terminal that stdout is; `None` where it is none.
pub(super) fn size() -> Option<(usize, usize)> {
    if !io::stdout().is_terminal() {
        return None;
    }
    // One that tells no size is as terminals were.
    let (columns, lines) = match terminal_size_of(io::stdout()) {
        Some((Width(columns @ 1..), Height(lines @ 1..))) => (columns, lines),
        _ => (80, 24),
    };
    Some((columns.into(), lines.into()))
}

/// The keys that are pressed. Its thread waits for them as long as the process runs.
pub(super) fn keys() -> mpsc::Receiver<u8> {
    let (pressed, keys) = mpsc::channel(16);
    if io::stdin().is_terminal() {
        let read = move || {
            for key in BufReader::new(io::stdin()).bytes() {
                let Ok(key) = key else { return };
                if pressed.blocking_send(key).is_err() {
                    return;
                }
            }
        };
        // Without it keys do nothing, and ctrl-C ends it all the same.
        let _ = thread::Builder::new().name("keys".to_owned()).spawn(read);
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_terminal_is_left_as_it_was() {
        let mut out = Vec::new();
        let mut screen = Screen::take(&mut out).unwrap();
        screen.draw(&["one".to_owned(), "two".to_owned()]).unwrap();
        drop(screen);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            format!("{ENTER}\x1b[Hone\x1b[K\r\ntwo\x1b[K\x1b[J{LEAVE}")
        );
    }
}
