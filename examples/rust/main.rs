// One value of the Clef agent: main DB_URL. All names: without an argument. Standard library only, so that rustc alone
// compiles it; an application would use the HTTP and JSON crates that it has.
use std::collections::BTreeMap;
use std::error::Error;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

fn ask(path: &str) -> Result<BTreeMap<String, String>, Box<dyn Error>> {
    let url = std::env::var("CLEF_AGENT_URL").unwrap_or_else(|_| "http://127.0.0.1:7779".into());
    let port: u16 = url
        .strip_prefix("http://127.0.0.1:")
        .ok_or("The token goes to 127.0.0.1 only: correct CLEF_AGENT_URL")?
        .parse()?;
    // Read each time: the file is replaced when the token is.
    let file = std::fs::read_to_string(std::env::var("CLEF_AGENT_TOKEN_FILE")?)?;
    let token = file.lines().next().ok_or("The token file is empty")?;
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("No HTTP answer")?;
    if !head.starts_with("HTTP/1.1 200 ") {
        return Err(format!("The agent answers {}", head.lines().next().unwrap_or("")).into());
    }
    parse(body).ok_or_else(|| "No JSON object of texts".into())
}

/// The agent's objects are flat: text to text.
fn parse(json: &str) -> Option<BTreeMap<String, String>> {
    let mut rest = json.trim().strip_prefix('{')?;
    let mut values = BTreeMap::new();
    while !rest.starts_with('}') {
        let (key, after_key) = parse_text(rest)?;
        let (value, after_value) = parse_text(after_key.strip_prefix(':')?)?;
        values.insert(key, value);
        rest = after_value.strip_prefix(',').unwrap_or(after_value);
    }
    Some(values)
}

fn parse_text(json: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut letters = json.strip_prefix('"')?.chars();
    loop {
        match letters.next()? {
            '"' => return Some((text, letters.as_str())),
            '\\' => match letters.next()? {
                'n' => text.push('\n'),
                'r' => text.push('\r'),
                't' => text.push('\t'),
                'b' => text.push('\u{8}'),
                'f' => text.push('\u{c}'),
                'u' => {
                    // The agent escapes control characters only, so there are no pairs of these.
                    let code = letters.as_str().get(..4)?;
                    text.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
                    letters = letters.as_str()[4..].chars();
                }
                other => text.push(other),
            },
            other => text.push(other),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let text = match std::env::args().nth(1) {
        Some(key) => ask(&format!("/v1/secrets/{key}"))?.remove("value").ok_or("No value")?,
        None => ask("/v1/secrets")?.keys().map(|key| format!("{key}\n")).collect(),
    };
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
