//! Both sockets of a session: what is read from the one goes to the other, with back-pressure both
//! ways. An idle client holds no buffer.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::relay::Scanned;
use super::{HIGH_WATER, READ_AHEAD, READ_CHUNK, Session, Step};

impl Session {
    /// Sends what is queued for the server and takes what it has sent; lets go of the connection
    /// when the client is done with it.
    pub(super) fn poll_server(&mut self, cx: &mut Context<'_>) -> Option<Step> {
        loop {
            let server = self.server.as_deref_mut()?;
            let blocked = server.cleared > 0 || self.output.len() >= HIGH_WATER;
            if blocked {
                if self.poll_relay(cx).is_err() || self.poll_flush(cx).is_err() {
                    return Some(Step::End);
                }
                let server = self.server.as_deref_mut()?;
                if server.cleared >= HIGH_WATER || self.output.len() >= HIGH_WATER {
                    // The client first. What is queued for the server need not wait for it.
                    let _ = server.connection.poll_send(cx);
                    return None;
                }
            }
            let server = self.server.as_deref_mut()?;
            match server.connection.poll_receive(cx, server.wanted) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return self.lose(error),
                Poll::Pending => return None,
            }
            let scanned = match server.scan(&mut self.client, &mut self.output) {
                Ok(scanned) => scanned,
                Err(error) => return self.lose(error),
            };
            if self.poll_relay(cx).is_err() {
                return Some(Step::End);
            }
            match scanned {
                Scanned::More(wanted) => {
                    self.server.as_deref_mut()?.wanted = wanted;
                    continue;
                }
                Scanned::Unsettled => return Some(Step::Settle),
                Scanned::Ready => {}
            }
            self.server.as_deref_mut()?.wanted = 0;
            self.count_unit();
            if let Some(step) = self.refuse_open_transaction() {
                return Some(step);
            }
            self.release_if_done();
        }
    }

    /// Sends what is cleared to the client: straight from where it was received if nothing of ours
    /// is in front of it.
    fn poll_relay(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(server) = self.server.as_deref_mut() else { return Ok(()) };
        if server.cleared == 0 {
            return Ok(());
        }
        self.flush = true;
        if !self.output.is_empty() {
            server.cut(0, &mut self.output);
            return self.poll_flush(cx);
        }
        while server.cleared > 0 {
            let cleared = server.connection.received().get(..server.cleared).unwrap_or_default();
            match Pin::new(&mut self.stream).poll_write(cx, cleared) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(written)) => {
                    self.client.database.counters().sent(written);
                    server.connection.consume(written);
                    server.cleared -= written;
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(()),
            }
        }
        Ok(())
    }

    /// Takes messages from `input`; whether any was taken.
    pub(super) fn take_input(&mut self) -> Result<bool, Step> {
        if self.input.len() < self.needed {
            return Ok(false);
        }
        let mut input = std::mem::take(&mut self.input);
        let (taken, flow) = self.take_messages(&input);
        if taken < input.len() {
            input.advance(taken);
            self.input = input;
        }
        flow.map(|()| taken > 0)
    }

    pub(super) fn may_read(&self) -> bool {
        if self.leaving || self.breach.is_some() {
            return false;
        }
        let backlog = self.server.as_ref().map_or(0, |server| server.connection.unsent());
        let ahead = self.needed.max(READ_AHEAD);
        backlog < HIGH_WATER && self.output.len() < HIGH_WATER && self.input.len() < ahead
    }

    /// Reads once and takes the messages that came.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Step>> {
        if !self.input.is_empty() {
            return self.poll_read_more(cx);
        }
        let mut chunk = [const { MaybeUninit::uninit() }; READ_CHUNK];
        let mut chunk = ReadBuf::uninit(&mut chunk);
        match Pin::new(&mut self.stream).poll_read(cx, &mut chunk) {
            Poll::Ready(Ok(())) if !chunk.filled().is_empty() => {}
            Poll::Ready(_) => return Poll::Ready(Err(Step::End)),
            Poll::Pending => return Poll::Pending,
        }
        self.client.database.counters().received(chunk.filled().len());
        self.was_active |= self.clock.waits_for_client();
        self.client.database.counters().received(chunk.filled().len());
        let (taken, flow) = self.take_messages(chunk.filled());
        let rest = chunk.filled().get(taken..).unwrap_or_default();
        if !rest.is_empty() {
            self.input.extend_from_slice(rest);
        }
        Poll::Ready(flow)
    }

    /// Reads behind what waits in `input`.
    fn poll_read_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Step>> {
        let missing = self.needed.saturating_sub(self.input.len());
        self.input.reserve(missing.clamp(READ_CHUNK, HIGH_WATER));
        let read = {
            let reading = tokio::io::AsyncReadExt::read_buf(&mut self.stream, &mut self.input);
            std::future::Future::poll(std::pin::pin!(reading), cx)
        };
        match read {
            Poll::Ready(Ok(read @ 1..)) => {
                self.client.database.counters().received(read);
                self.was_active |= self.clock.waits_for_client();
                Poll::Ready(self.take_input().map(drop))
            }
            Poll::Ready(_) => Poll::Ready(Err(Step::End)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Writes what waits for the client, if it may go out.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if let Poll::Ready(Err(error)) = self.stream.poll_rest(cx) {
            return Err(error);
        }
        if !self.flush && self.output.len() < HIGH_WATER {
            return Ok(());
        }
        while !self.output.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.output) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(written)) => {
                    self.client.database.counters().sent(written);
                    self.output.advance(written);
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(()),
            }
        }
        if self.output.is_empty() {
            self.flush = false;
            if self.output.capacity() > 0 {
                // An idle client holds no buffer.
                self.output = BytesMut::new();
            }
        }
        Ok(())
    }
}
