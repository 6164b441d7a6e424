// Go: a goroutine per connection, net/http, as many threads as cores. server PORT FILES
package main

import (
	"io"
	"log"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"time"
)

var hello = []byte("Hello, world!\n")
var name = regexp.MustCompile("^[a-z0-9]{1,15}$")

// web_compute() of compare/web.c.
func compute(rounds int) uint32 {
	x := uint32(2463534242)
	for round := 0; round < rounds; round++ {
		for step := 0; step < 500; step++ {
			x ^= x << 13
			x ^= x >> 17
			x ^= x << 5
		}
	}
	return x
}

func answer(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Content-Length", "14")
	w.Write(hello)
}

func amount(r *http.Request, field string) (int, bool) {
	number, err := strconv.Atoi(r.URL.Query().Get(field))
	return number, err == nil && number >= 0
}

func main() {
	files := os.Args[2]
	mux := http.NewServeMux()
	mux.HandleFunc("/hello", func(w http.ResponseWriter, r *http.Request) { answer(w) })
	mux.HandleFunc("/wait", func(w http.ResponseWriter, r *http.Request) {
		ms, ok := amount(r, "ms")
		if !ok {
			http.NotFound(w, r)
			return
		}
		time.Sleep(time.Duration(ms) * time.Millisecond)
		answer(w)
	})
	mux.HandleFunc("/cpu", func(w http.ResponseWriter, r *http.Request) {
		rounds, ok := amount(r, "n")
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Result", strconv.FormatUint(uint64(compute(rounds)), 10))
		answer(w)
	})
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		wanted := r.URL.Query().Get("name")
		if !name.MatchString(wanted) {
			http.NotFound(w, r)
			return
		}
		file, err := os.Open(files + "/" + wanted)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		defer file.Close()
		about, err := file.Stat()
		if err != nil || !about.Mode().IsRegular() {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.FormatInt(about.Size(), 10))
		io.Copy(w, file) // sendfile(2)
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], mux)) // its backlog is net.core.somaxconn
}
