package alert

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/ftpferry/ftpferry/agent/config"
)

// The headers of a message.
const (
	headerID        = "Ftpferry-Message"   // Message.ID
	headerSignature = "Ftpferry-Signature" // "sha256=" and the HMAC of the body, in hexadecimal digits
)

// mostAnswer is how much of an answer is read, in bytes.
const mostAnswer = 4 << 10

// webhook sends messages to a URL.
type webhook struct{ config.Webhook }

// Send implements Sender. Any 2xx is success.
func (w webhook) Send(ctx context.Context, m Message) (string, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL.Reveal(), bytes.NewReader(body))
	if err != nil {
		return "", errors.New("the URL does not work") // which the error would show
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set(headerID, m.ID)
	if secret := w.Secret.Reveal(); secret != "" {
		sum := hmac.New(sha256.New, []byte(secret))
		sum.Write(body) // never fails
		request.Header.Set(headerSignature, "sha256="+hex.EncodeToString(sum.Sum(nil)))
	}
	return ask(request)
}

// ask returns the status, and an error with the beginning of the answer if that is no 2xx. The URL may be a secret, so that
// it is in neither.
func ask(request *http.Request) (string, error) {
	request.Header.Set("User-Agent", "ftpferry")
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true // messages are rare
	client := http.Client{
		Transport: transport,
		// A POST that is sent on becomes a GET, and is lost.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		if cause := context.Cause(request.Context()); cause != nil {
			return "", cause
		}
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err
		}
		return "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, mostAnswer))
	shown := masker(request.URL) // servers like to say what they have not found
	status := oneLine(shown.Replace(response.Status), longestSummary)
	switch {
	case response.StatusCode >= 300 && response.StatusCode < 400:
		return "", fmt.Errorf("answered %s: it is elsewhere; write the URL that it leads to", status)
	case response.StatusCode >= 300:
		return "", fmt.Errorf("answered %s: %s", status, oneLine(shown.Replace(string(answer)), longestSummary))
	case err != nil:
		return status, nil // it was taken, whatever became of the rest of the answer
	}
	return status, nil
}

// shortestMasked is how long a part of a URL is at least that may be a secret, in bytes.
const shortestMasked = 6

// masker hides all of a URL that may be a secret: what comes behind the host, as a whole and in its parts, and who logs in.
func masker(u *url.URL) *strings.Replacer {
	parts := []string{u.RequestURI(), u.Path, u.RawQuery, u.User.Username()}
	if password, ok := u.User.Password(); ok {
		parts = append(parts, password)
	}
	parts = append(parts, strings.Split(u.Path, "/")...)
	for _, values := range u.Query() {
		parts = append(parts, values...)
	}
	forms := map[string]bool{}
	for _, part := range parts {
		for _, form := range []string{part, url.PathEscape(part), url.QueryEscape(part), html.EscapeString(part)} {
			if len(form) >= shortestMasked {
				forms[form] = true
			}
		}
	}
	var pairs []string // the longest first: at one place the first one counts
	for _, form := range slices.SortedFunc(maps.Keys(forms), func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) }) {
		pairs = append(pairs, form, "***")
	}
	return strings.NewReplacer(pairs...)
}
