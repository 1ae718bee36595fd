//! Answers, whole and in chunks.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::format::Format;
use super::tls::Wire;
use super::{Asked, Shared};

/// The head of an answer in a format.
pub(super) fn head_of(code: u16, format: Format, lines: &str) -> String {
    let media_type = format.media_type();
    format!("HTTP/1.1 {code} -\r\ncontent-type: {media_type}\r\n{lines}\r\n\r\n")
}

pub(super) fn chunk(stream: &mut Wire, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(&chunk_of(bytes))
}

/// Bytes as a chunk of a body whose length is not known beforehand.
pub(super) fn chunk_of(bytes: &[u8]) -> Vec<u8> {
    let length = format!("{:x}\r\n", bytes.len());
    [length.as_bytes(), bytes, b"\r\n"].concat()
}

pub(super) fn answer(stream: &mut Wire, code: u16, body: &Value) -> io::Result<()> {
    let body = body.to_string();
    let head = head(code, &format!("content-length: {}", body.len()));
    stream.write_all(format!("{head}{body}").as_bytes())
}

pub(super) fn head(code: u16, length: &str) -> String {
    head_of(code, Format::Json, length)
}

pub(super) fn status(code: u16, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
           "reason": if code == 410 { "Expired" } else { "InternalError" }, "message": message})
}

/// Reports a failure in the format that was asked for.
pub(super) fn refuse(
    shared: &Shared,
    stream: &mut Wire,
    asked: &Asked,
    code: u16,
    message: &str,
) -> io::Result<()> {
    let format = Format::of(shared, asked);
    let body = format.write(&status(code, message));
    let head = head_of(code, format, &format!("content-length: {}", body.len()));
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body)
}
