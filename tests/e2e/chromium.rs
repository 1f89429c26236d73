//! A Chromium without a window, spoken to over its debugging pipe, and what to look at in a page.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use serde_json::{Value, json};

/// A Chromium with one page.
pub struct Browser {
    process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    session: Option<String>,
    sent: u64,
    /// What the page complained of.
    pub complaints: Vec<Value>,
    /// Beginnings of addresses that the page may ask for.
    allowed: Vec<String>,
    profile: tempfile::TempDir,
}

impl Browser {
    pub fn start() -> Browser {
        let chromium = std::env::var("PACKTRAIN_CHROMIUM").expect("PACKTRAIN_CHROMIUM names a Chromium; `make test-browser` sets it");
        let profile = tempfile::tempdir().unwrap();
        // The pipe's ends are file descriptors 3 and 4; a shell moves standard input and output there.
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", &chromium]);
        command.args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--remote-debugging-pipe",
        ]);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let allowed = ["file:", "data:", "about:blank"].map(str::to_owned).to_vec();
        let (commands, answers) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let mut browser = Browser { process, commands, answers, session: None, sent: 0, complaints: Vec::new(), allowed, profile };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].clone();
        let session = browser.call("Target.attachToTarget", json!({ "targetId": target, "flatten": true }))["sessionId"].clone();
        browser.session = Some(session.as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Sends a command and waits for its answer; messages end with a zero byte.
    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.sent += 1;
        let mut command = json!({ "id": self.sent, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        self.commands.write_all(format!("{command}\0").as_bytes()).unwrap();
        loop {
            let message = self.message();
            if message["id"] == json!(self.sent) {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].clone();
            }
        }
    }

    fn message(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.answers.read_until(0, &mut bytes).unwrap();
        let message: Value = serde_json::from_slice(bytes.strip_suffix(&[0]).expect("the browser ended")).unwrap();
        match message["method"].as_str() {
            Some("Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded") => self.complaints.push(message.clone()),
            Some("Network.requestWillBeSent") => {
                let url = message["params"]["request"]["url"].as_str().unwrap_or_default();
                if !self.allowed.iter().any(|allowed| url.starts_with(allowed)) {
                    self.complaints.push(message.clone());
                }
            }
            _ => {}
        }
        message
    }

    pub fn open(&mut self, path: &std::path::Path) {
        self.go_to(&format!("file://{}", path.display()));
    }

    /// Opens a page of a server, which may ask that server for more.
    pub fn visit(&mut self, url: &str) {
        let end = url.match_indices('/').nth(2).map_or(url.len(), |(end, _)| end);
        self.allowed.push(url[..end].to_owned());
        self.go_to(url);
    }

    fn go_to(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url }));
        while self.message()["method"] != "Page.loadEventFired" {}
    }

    /// Waits until an expression is true within the page.
    pub fn wait_for(&mut self, expression: &str) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while self.evaluate(expression) != json!(true) {
            assert!(Instant::now() < deadline, "never true: {expression}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Nothing overflows, is invisible or faint.
    pub fn assert_looks_right(&mut self, at: &str) {
        for wrong in [OVERFLOWING, INVISIBLE, FAINT] {
            assert_eq!(self.evaluate(wrong), NOTHING, "{at}");
        }
    }

    pub fn look(&mut self, width: u32, scheme: &str) {
        self.call("Emulation.setDeviceMetricsOverride", json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false }));
        let features = [json!({ "name": "prefers-color-scheme", "value": scheme })];
        self.call("Emulation.setEmulatedMedia", json!({ "media": "screen", "features": features }));
    }

    /// The value of an expression within the page.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let answer = self.call("Runtime.evaluate", json!({ "expression": expression, "returnByValue": true, "awaitPromise": true }));
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    pub fn press(&mut self, key: &str, code: u32, text: &str) {
        for event in ["keyDown", "keyUp"] {
            let text = if event == "keyDown" { text } else { "" };
            self.call(
                "Input.dispatchKeyEvent",
                json!({ "type": event, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text }),
            );
        }
    }

    pub fn click(&mut self, selector: &str) {
        let place = self.evaluate(&format!(
            "(() => {{ const e = document.querySelector({selector:?}); e.scrollIntoView({{ block: 'center', behavior: 'instant' }}); \
             const b = e.getBoundingClientRect(); return [b.x + 8, b.y + b.height / 2]; }})()"
        ));
        for event in ["mousePressed", "mouseReleased"] {
            self.call(
                "Input.dispatchMouseEvent",
                json!({ "type": event, "x": place[0], "y": place[1], "button": "left", "clickCount": 1 }),
            );
        }
    }

    /// Keeps a picture where the environment asks for it.
    pub fn keep_picture(&mut self, name: &str) {
        let Ok(folder) = std::env::var("PACKTRAIN_PICTURES") else { return };
        let clip = self.whole();
        let shot = self.call("Page.captureScreenshot", json!({ "format": "png", "captureBeyondViewport": true, "clip": clip }));
        let bytes = base64::engine::general_purpose::STANDARD.decode(shot["data"].as_str().unwrap()).unwrap();
        std::fs::write(std::path::Path::new(&folder).join(format!("{name}.png")), bytes).unwrap();
    }

    fn whole(&mut self) -> Value {
        let size = self.call("Page.getLayoutMetrics", json!({}))["cssContentSize"].clone();
        json!({ "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1 })
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The profile's folder is removed after the browser has let go of it.
        drop(self.process.kill());
        drop(self.process.wait());
        assert!(self.profile.path().exists() || std::thread::panicking());
    }
}

/// What is wider than the page, or hidden behind its edge without a way to scroll there.
const OVERFLOWING: &str = "(() => {
  const wide = document.documentElement.scrollWidth > document.documentElement.clientWidth ? ['the page: ' + document.documentElement.scrollWidth] : [];
  const scrolls = (e) => e && (['auto', 'scroll'].includes(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
  const out = [...document.querySelectorAll('body *:not(.skip, .hidden)')].filter((e) => {
    const box = e.getBoundingClientRect();
    return box.width > 0 && (box.right > document.documentElement.clientWidth + 1 || box.left < -1) && !scrolls(e);
  });
  return wide.concat(out.map((e) => e.tagName + '.' + e.getAttribute('class') + ' ' + e.textContent.slice(0, 30)));
})()";

/// Charts, graphs and pictures that cannot be seen.
const INVISIBLE: &str = "[...document.querySelectorAll('figure svg, figure svg path, figure svg text, img, progress')].filter((e) => {
  const box = e.getBoundingClientRect();
  return !(box.width > 0 || box.height > 0) || (e.tagName === 'IMG' && !(e.complete && e.naturalWidth > 0));
}).map((e) => e.outerHTML.slice(0, 120))";

/// Texts whose contrast with what lies behind them is less than 4.5 to 1, the least for small text in WCAG 2.2.
const FAINT: &str = "(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => { for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] > 250) return c; } return [255, 255, 255, 255]; };
  const texts = [...document.querySelectorAll('main *, header *, nav *')].filter((e) => !e.closest('svg') && !e.matches('.nothing')
    && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()));
  return texts.map((e) => {
    const [a, b] = [light(rgba(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
    return [(a + 0.05) / (b + 0.05), e.outerHTML.slice(0, 100)];
  }).filter(([contrast]) => contrast < 4.5);
})()";

const NOTHING: Value = Value::Array(Vec::new());
