// One value of the Clef agent: java Secrets.java DB_URL. All names: without an argument. Java 17, no libraries; an
// application would parse the answer with the JSON library it has.
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;

public final class Secrets {
  /** HTTP/1.1, since Java would ask for an upgrade, which the agent refuses; no proxy, whatever the settings say. */
  private static final HttpClient client = HttpClient.newBuilder()
      .version(HttpClient.Version.HTTP_1_1)
      .proxy(HttpClient.Builder.NO_PROXY)
      .connectTimeout(Duration.ofSeconds(5))
      .build();

  static Map<String, String> ask(String path) throws IOException, InterruptedException {
    var url = System.getenv().getOrDefault("CLEF_AGENT_URL", "http://127.0.0.1:7779");
    // What stands behind an @ would be the host.
    if (!url.matches("http://127\\.0\\.0\\.1:[0-9]+")) {
      throw new IllegalArgumentException("The token goes to 127.0.0.1 only: correct CLEF_AGENT_URL");
    }
    // Read each time: the file is replaced when the token is.
    var token = Files.readAllLines(Path.of(System.getenv("CLEF_AGENT_TOKEN_FILE"))).get(0);
    var request = HttpRequest.newBuilder(URI.create(url + path))
        .header("Authorization", "Bearer " + token)
        .timeout(Duration.ofSeconds(5))
        .build();
    var answer = client.send(request, BodyHandlers.ofString());
    if (answer.statusCode() != 200) throw new IOException("The agent answers " + answer.statusCode());
    return parse(answer.body());
  }

  private static final Pattern pair = Pattern.compile("\"((?:[^\"\\\\]|\\\\.)*+)\":\"((?:[^\"\\\\]|\\\\.)*+)\"");

  /** The agent's objects are flat: text to text. */
  private static Map<String, String> parse(String json) {
    var values = new TreeMap<String, String>();
    var found = pair.matcher(json);
    while (found.find()) values.put(unescape(found.group(1)), unescape(found.group(2)));
    return values;
  }

  private static String unescape(String text) {
    var out = new StringBuilder();
    for (int at = 0; at < text.length(); at++) {
      char c = text.charAt(at);
      if (c != '\\') {
        out.append(c);
        continue;
      }
      char escaped = text.charAt(++at);
      switch (escaped) {
        case 'n' -> out.append('\n');
        case 'r' -> out.append('\r');
        case 't' -> out.append('\t');
        case 'b' -> out.append('\b');
        case 'f' -> out.append('\f');
        case 'u' -> {
          out.append((char) Integer.parseInt(text.substring(at + 1, at + 5), 16));
          at += 4;
        }
        default -> out.append(escaped);
      }
    }
    return out.toString();
  }

  public static void main(String[] arguments) throws Exception {
    var text = arguments.length > 0
        ? ask("/v1/secrets/" + arguments[0]).get("value")
        : String.join("\n", ask("/v1/secrets").keySet()) + "\n";
    System.out.write(text.getBytes(StandardCharsets.UTF_8));
    System.out.flush();
  }
}
