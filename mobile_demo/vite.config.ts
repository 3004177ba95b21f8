import {defineConfig} from 'vite';
import {VitePWA} from 'vite-plugin-pwa';

import {engines} from './plugins/engines.ts';
import {models} from './plugins/models.ts';

// Threads need shared memory, and a browser shares it only with pages that have these headers.
const headers = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

export default defineConfig(async () => {
  const {constants, plugin} = await engines();
  return {
    base: './',
    define: {ENGINES: JSON.stringify(constants)},
    resolve: {conditions: ['onnxruntime-web-use-extern-wasm', 'module', 'browser', 'development|production']},
    server: {headers},
    preview: {headers},
    worker: {format: 'es' as const},
    build: {target: 'es2022', chunkSizeWarningLimit: 1000},
    plugins: [
      plugin,
      models(),
      VitePWA({
        registerType: 'prompt',
        injectRegister: false,
        manifest: {
          name: 'keras-seq',
          short_name: 'keras-seq',
          description: 'Sequence models on this device: nothing leaves it.',
          display: 'standalone',
          start_url: './',
          scope: './',
          theme_color: '#1f4e79',
          background_color: '#f7f6f2',
          icons: [
            {src: 'icons/192.png', sizes: '192x192', type: 'image/png'},
            {src: 'icons/512.png', sizes: '512x512', type: 'image/png', purpose: 'any maskable'},
          ],
        },
        workbox: {
          globPatterns: ['index.html', 'assets/*', 'icons/*'],
          globIgnores: ['engines/**', 'models/**'],
          clientsClaim: true,
          navigateFallback: 'index.html',
          runtimeCaching: [
            // The folders' names hold versions. Models aren't here: the app keeps them by their hashes.
            {
              urlPattern: /\/engines\//,
              handler: 'CacheFirst',
              options: {cacheName: 'engines', matchOptions: {ignoreVary: true}}, // As in src/backend/engine_cache.ts.
            },
          ],
        },
      }),
    ],
  };
});
