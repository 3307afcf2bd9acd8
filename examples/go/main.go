// One value of the Clef agent: go run main.go DB_URL. All names: without an argument. Standard library only.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"sort"
	"strings"
	"time"
)

// Proxy nil: no proxy, whatever the environment says.
var client = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{Proxy: nil}}

// What stands behind an @ would be the host.
var thisMachine = regexp.MustCompile(`^http://127\.0\.0\.1:[0-9]+$`)

func ask(path string) (map[string]string, error) {
	url := os.Getenv("CLEF_AGENT_URL")
	if url == "" {
		url = "http://127.0.0.1:7779"
	}
	if !thisMachine.MatchString(url) {
		return nil, fmt.Errorf("the token goes to 127.0.0.1 only: correct CLEF_AGENT_URL")
	}
	// Read each time: the file is replaced when the token is.
	file, err := os.ReadFile(os.Getenv("CLEF_AGENT_TOKEN_FILE"))
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequest(http.MethodGet, url+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+strings.SplitN(string(file), "\n", 2)[0])
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the agent answers %d", answer.StatusCode)
	}
	var values map[string]string
	err = json.NewDecoder(answer.Body).Decode(&values)
	return values, err
}

func run() error {
	if len(os.Args) > 1 {
		answer, err := ask("/v1/secrets/" + os.Args[1])
		fmt.Print(answer["value"])
		return err
	}
	values, err := ask("/v1/secrets")
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Println(name)
	}
	return err
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
