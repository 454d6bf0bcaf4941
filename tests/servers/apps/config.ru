# A Rack application: greets, and takes N milliseconds at /sleep/N.
run(lambda do |env|
  sleep(env['PATH_INFO'][%r{/sleep/(\d+)}, 1].to_i / 1000.0) if env['PATH_INFO'].start_with?('/sleep/')
  body = "Hello, world #{ENV.fetch('ENDLESS_GENERATION', '0')} #{Process.pid}!\n"
  [200, { 'Content-Type' => 'text/plain', 'Content-Length' => body.bytesize.to_s }, [body]]
end)
