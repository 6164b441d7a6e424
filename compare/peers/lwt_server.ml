(* OCaml Lwt: one thread, promises, Lwt's own channels. lwt_server PORT FILES *)
open Lwt.Infix

let files = Sys.argv.(2)
let body = "Hello, world!\n"

(* web_compute() of compare/web.c: 63 bits, cut to 32 where one could get beyond. *)
let compute rounds =
  let x = ref 2463534242 in
  for _ = 1 to rounds do
    for _ = 1 to 500 do
      x := !x lxor (!x lsl 13) land 0xffffffff;
      x := !x lxor (!x lsr 17);
      x := !x lxor (!x lsl 5) land 0xffffffff
    done
  done;
  !x

let head ?(field = "") kind length =
  Printf.sprintf "HTTP/1.1 200 OK\r\nContent-Type: %s\r\n%sContent-Length: %d\r\n\r\n" kind field length

let hello = head "text/plain" (String.length body) ^ body
let not_found = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"

let number text most =
  match int_of_string_opt text with
  | Some value when value >= 0 && value <= most -> value
  | _ -> raise Not_found

let is_name text =
  text <> "" && String.for_all (function 'a' .. 'z' | '0' .. '9' -> true | _ -> false) text

let send_file output name =
  if not (is_name name) then raise Not_found;
  Lwt_unix.openfile (Filename.concat files name) [ Unix.O_RDONLY; Unix.O_CLOEXEC ] 0 >>= fun fd ->
  Lwt.finalize
    (fun () ->
      Lwt_unix.fstat fd >>= fun about ->
      Lwt_io.write output (head "application/octet-stream" about.Unix.st_size) >>= fun () ->
      let buffer = Bytes.create 65536 in
      let rec copy () =
        Lwt_unix.read fd buffer 0 (Bytes.length buffer) >>= function
        | 0 -> Lwt.return_unit
        | count -> Lwt_io.write_from_exactly output buffer 0 count >>= copy
      in
      copy ())
    (fun () -> Lwt_unix.close fd)

let answer output target =
  match String.index_opt target '=' with
  | None when target = "/hello" -> Lwt_io.write output hello
  | None -> raise Not_found
  | Some equals -> (
      let value = String.sub target (equals + 1) (String.length target - equals - 1) in
      match String.sub target 0 equals with
      | "/wait?ms" ->
          Lwt_unix.sleep (float (number value 60000) /. 1000.) >>= fun () -> Lwt_io.write output hello
      | "/cpu?n" ->
          let field = Printf.sprintf "Result: %d\r\n" (compute (number value 20_000_000)) in
          Lwt_io.write output (head ~field "text/plain" (String.length body) ^ body)
      | "/file?name" -> send_file output value
      | _ -> raise Not_found)

let rec read_fields input close =
  Lwt_io.read_line input >>= function
  | "" -> Lwt.return close
  | line -> read_fields input (close || String.lowercase_ascii line = "connection: close")

let rec serve input output =
  Lwt_io.read_line input >>= fun line ->
  read_fields input false >>= fun close ->
  let respond () =
    match String.split_on_char ' ' line with
    | [ "GET"; target; "HTTP/1.1" ] -> answer output target
    | _ -> raise Not_found
  in
  Lwt.catch respond (function
    | Not_found | Unix.Unix_error (Unix.ENOENT, _, _) -> Lwt_io.write output not_found
    | error -> Lwt.fail error)
  >>= fun () ->
  Lwt_io.flush output >>= fun () -> if close then Lwt.return_unit else serve input output

let connection (fd, _) =
  Lwt_unix.setsockopt fd Unix.TCP_NODELAY true;
  let input = Lwt_io.of_fd ~buffer:(Lwt_bytes.create 4096) ~mode:Lwt_io.input fd in
  let output = Lwt_io.of_fd ~buffer:(Lwt_bytes.create 4096) ~mode:Lwt_io.output ~close:Lwt.return fd in
  Lwt.finalize
    (fun () -> Lwt.catch (fun () -> serve input output) (fun _ -> Lwt.return_unit))
    (fun () -> Lwt.catch (fun () -> Lwt_unix.close fd) (fun _ -> Lwt.return_unit))

let rec accept listener =
  Lwt.catch
    (fun () -> Lwt_unix.accept listener >|= fun client -> Lwt.async (fun () -> connection client))
    (fun _ -> Lwt_unix.sleep 0.01 (* no descriptors: the client waits *))
  >>= fun () -> accept listener

let () =
  Sys.set_signal Sys.sigpipe Sys.Signal_ignore;
  let listener = Lwt_unix.socket ~cloexec:true Unix.PF_INET Unix.SOCK_STREAM 0 in
  Lwt_unix.setsockopt listener Unix.SO_REUSEADDR true;
  Lwt_main.run
    ( Lwt_unix.bind listener (Unix.ADDR_INET (Unix.inet_addr_loopback, int_of_string Sys.argv.(1)))
    >>= fun () ->
      Lwt_unix.listen listener 4096;
      accept listener )
