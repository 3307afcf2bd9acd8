# One value of the Clef agent: ruby secrets.rb DB_URL. All names: without an argument. Standard library only.
require 'json'
require 'net/http'

def ask(path)
  uri = URI(ENV.fetch('CLEF_AGENT_URL', 'http://127.0.0.1:7779'))
  raise 'The token goes to 127.0.0.1 only: correct CLEF_AGENT_URL' unless uri.host == '127.0.0.1'

  # Read each time: the file is replaced when the token is.
  token = File.open(ENV.fetch('CLEF_AGENT_TOKEN_FILE'), &:gets).chomp
  # The nil means no proxy, whatever the environment says.
  http = Net::HTTP.new(uri.host, uri.port, nil)
  http.open_timeout = http.read_timeout = 5
  answer = http.get(path, 'Authorization' => "Bearer #{token}")
  raise "The agent answers #{answer.code}" unless answer.code == '200'

  JSON.parse(answer.body)
end

if ARGV.empty?
  puts ask('/v1/secrets').keys.sort
else
  $stdout.binmode.write(ask("/v1/secrets/#{ARGV[0]}").fetch('value'))
end
