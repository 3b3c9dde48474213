//! Looking again and again: a screen that is drawn anew on a terminal, lines with the time in a pipe. It
//! ends with Ctrl-C, or when nobody reads any more; a server that is away for a while is waited for.

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use super::{FAILED, StatsArgs, error_of};
use crate::cli::output;
use crate::time::rfc3339;

/// To the first line; to the end of a line; to the end of the screen.
const HOME: &str = "\x1b[H";
const REST_OF_LINE: &str = "\x1b[K";
const REST_OF_SCREEN: &str = "\x1b[J";

pub(super) fn run(args: &StatsArgs, pause: Duration) -> ExitCode {
    let mut last: Option<(Value, Instant)> = None;
    let mut titled = false;
    loop {
        let answer = args.ask().map_err(|error| error.to_string());
        let now = Instant::now();
        match answer.and_then(|answer| match error_of(&answer) {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer),
        }) {
            Ok(answer) => {
                let before = last.as_ref().map(|(answer, at)| (answer, now - *at));
                let text = match args.json {
                    true => answer.to_string(),
                    false => args.shown(&answer, before),
                };
                // The first look only knows what was counted since the start.
                let waits =
                    before.is_none() && args.top.is_none() && !args.json && !output::to_terminal();
                if !waits && !print(args, &text, &mut titled) {
                    return ExitCode::SUCCESS;
                }
                last = Some((answer, now));
            }
            Err(error) if last.is_none() => return output::fail(error, FAILED),
            Err(error) => output::error(error),
        }
        std::thread::sleep(pause.saturating_sub(now.elapsed()));
    }
}

/// Whether somebody reads it.
fn print(args: &StatsArgs, text: &str, titled: &mut bool) -> bool {
    let time = rfc3339(SystemTime::now());
    if output::to_terminal() && !args.json {
        let mut screen =
            format!("{HOME}rr-pgpool at {}, {time}{REST_OF_LINE}\n", args.server.address);
        for line in text.lines() {
            screen.extend([line, REST_OF_LINE, "\n"]);
        }
        screen.push_str(REST_OF_SCREEN);
        return output::try_text(&screen);
    }
    if args.json {
        return output::try_text(&format!("{text}\n"));
    }
    output::try_text(&timed(text, &time, std::mem::replace(titled, true)))
}

/// A table's lines with the time in front; its titles only once.
fn timed(table: &str, time: &str, titled: bool) -> String {
    let mut lines = table.lines();
    let mut text = String::new();
    let titles = lines.next();
    if let Some(titles) = titles.filter(|_| !titled) {
        text.extend(["time\t", titles, "\n"]);
    }
    lines.for_each(|line| text.extend([time, "\t", line, "\n"]));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_a_pipe_each_line_has_its_time_and_the_titles_come_once() {
        let table = "pool\tidle\na\t1\nb\t2";
        assert_eq!(timed(table, "T", false), "time\tpool\tidle\nT\ta\t1\nT\tb\t2\n");
        assert_eq!(timed(table, "T", true), "T\ta\t1\nT\tb\t2\n");
    }
}
